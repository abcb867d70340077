#include "filter/delivery_world.hpp"

#include <algorithm>

#include "merpati/mime/header.hpp"

namespace merpati::filter {
namespace {

Error to_be_fetched() { return Error(ErrorCode::kAborted, "to be fetched"); }

bool same_mailbox(std::string_view a, std::string_view b) {
  return a == b || (mime::iequals(a, "INBOX") && mime::iequals(b, "INBOX"));
}

bool has_use(const KnownMailbox& mailbox, std::string_view use) {
  return !mailbox.special_use.empty() && mime::iequals(mailbox.special_use, use);
}

}  // namespace

std::optional<std::string> DeliveryWorld::item(std::string_view name) const {
  const auto found = items.find(name);
  return found == items.end() ? std::nullopt : std::optional(found->second);
}

Result<const std::vector<KnownMailbox>*> DeliveryWorld::known_mailboxes() {
  if (mailboxes) return &*mailboxes;
  wants_mailboxes = true;
  return to_be_fetched();
}

Result<bool> DeliveryWorld::mailbox_exists(std::string_view name) {
  if (mime::iequals(name, "INBOX")) return true;
  MERPATI_TRY(const auto* all, known_mailboxes());
  return std::ranges::any_of(*all, [&](const auto& one) { return one.selectable && one.name == name; });
}

Result<bool> DeliveryWorld::mailbox_id_exists(std::string_view id) {
  MERPATI_TRY(const auto* all, known_mailboxes());
  return std::ranges::any_of(*all, [&](const auto& one) { return one.selectable && one.id == id; });
}

Result<bool> DeliveryWorld::special_use_exists(std::optional<std::string_view> mailbox,
                                               std::span<const std::string> uses) {
  MERPATI_TRY(const auto* all, known_mailboxes());
  // RFC 8579 4: with a mailbox, that one has all of them; without, each is had by some mailbox
  return std::ranges::all_of(uses, [&](const std::string& use) {
    return std::ranges::any_of(
        *all, [&](const auto& one) { return (!mailbox || same_mailbox(one.name, *mailbox)) && has_use(one, use); });
  });
}

Result<bool> DeliveryWorld::seen(std::string_view key) {
  const auto found = remembered.find(key);
  if (found != remembered.end()) return found->second;
  wanted_memory.emplace(key);
  return to_be_fetched();
}

Result<bool> DeliveryWorld::is_own_address(std::string_view address) {
  const auto found = owned.find(address);
  if (found != owned.end()) return found->second;
  wanted_addresses.emplace(address);
  return to_be_fetched();
}

Result<std::shared_ptr<const sieve::Script>> DeliveryWorld::include(sieve::Location location, std::string_view name) {
  if (location == sieve::Location::kGlobal) {
    if (global_scripts == nullptr) return std::shared_ptr<const sieve::Script>();
    const auto found = global_scripts->find(name);
    return found == global_scripts->end() ? std::shared_ptr<const sieve::Script>() : found->second;
  }
  const auto found = included.find(name);
  if (found != included.end()) return found->second;
  wanted_includes.emplace(name);
  return to_be_fetched();
}

std::string DeliveryWorld::name_of(const sieve::Filing& into) const {
  if (mailboxes) {
    for (const auto& one : *mailboxes)
      if (!into.mailbox_id.empty() && one.selectable && one.id == into.mailbox_id) return one.name;
    for (const auto& one : *mailboxes)
      if (!into.special_use.empty() && one.selectable && has_use(one, into.special_use)) return one.name;
  }
  return into.mailbox;
}

}  // namespace merpati::filter
