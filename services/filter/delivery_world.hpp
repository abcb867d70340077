// DeliveryWorld: what the scripts of one recipient may ask of the world during a delivery. What it does not know yet it
// notes; who runs the script fetches that and runs it again.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "filter/sieve_lists.hpp"
#include "merpati/sieve/environment.hpp"
#include "merpati/sieve/outcome.hpp"

namespace merpati::filter {

/// A mailbox of the recipient.
struct KnownMailbox {
  std::string name;
  std::string id;
  std::string special_use;  ///< "\\Junk"; empty: none
  bool selectable = true;
};

/// Scripts for `include :global`, by name.
using GlobalScripts = std::map<std::string, std::shared_ptr<const sieve::Script>, std::less<>>;

/// Used by one thread at a time.
class DeliveryWorld final : public sieve::Environment {
 public:
  std::int64_t at = 0;  ///< Unix seconds
  std::vector<std::string> addresses;
  std::map<std::string, std::string, std::less<>> items;  ///< of RFC 5183
  std::optional<int> spam;                                ///< percent
  int virus = 0;
  const GlobalScripts* global_scripts = nullptr;
  const SieveLists* lists = nullptr;

  // What was fetched.
  std::optional<std::vector<KnownMailbox>> mailboxes;
  std::map<std::string, Result<std::shared_ptr<const sieve::Script>>, std::less<>> included;
  std::map<std::string, bool, std::less<>> remembered;
  std::map<std::string, bool, std::less<>> owned;  ///< addresses

  // What is to be fetched.
  bool wants_mailboxes = false;
  std::set<std::string> wanted_includes;
  std::set<std::string> wanted_memory;
  std::set<std::string> wanted_addresses;
  bool wants_something() const {
    return wants_mailboxes || !wanted_includes.empty() || !wanted_memory.empty() || !wanted_addresses.empty();
  }

  /// The mailbox that a script's filing means: `mailbox_id` and `special_use` before the name.
  std::string name_of(const sieve::Filing& into) const;

  std::int64_t now() const override { return at; }
  std::vector<std::string> own_addresses() const override { return addresses; }
  Result<bool> is_own_address(std::string_view address) override;
  std::optional<std::string> item(std::string_view name) const override;
  Result<bool> mailbox_exists(std::string_view name) override;
  Result<bool> mailbox_id_exists(std::string_view id) override;
  Result<bool> special_use_exists(std::optional<std::string_view> mailbox, std::span<const std::string> uses) override;
  Result<bool> seen(std::string_view key) override;
  Result<std::shared_ptr<const sieve::Script>> include(sieve::Location location, std::string_view name) override;
  bool list_known(std::string_view list) override { return lists != nullptr && lists->known(list); }
  Result<bool> list_contains(std::string_view list, std::string_view value) override {
    return lists->contains(list, value);
  }
  std::size_t list_size(std::string_view list) override { return lists->size(list); }
  std::optional<int> spam_percent() const override { return spam; }
  int virus_value() const override { return virus; }

 private:
  Result<const std::vector<KnownMailbox>*> known_mailboxes();
};

}  // namespace merpati::filter
