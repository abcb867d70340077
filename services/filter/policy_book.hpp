// PolicyBook: the rules of a message's recipients, out of the configuration and what this replica remembers of
// policies.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "filter/engine.hpp"
#include "filter/judgement.hpp"
#include "filter/policy_table.hpp"
#include "merpati/base/guarded.hpp"

namespace merpati::filter {

/// Whose policies a recipient has.
struct RecipientOwner {
  std::int64_t account = 0;  ///< 0: not here, so the configuration's rules hold
  std::string domain;        ///< of the account, A-labels in lower case
};

/// Thread safe. Bounded. What it remembers holds until refresh() sees that something has changed.
class PolicyBook {
 public:
  /// `table` outlives it.
  PolicyBook(PolicyLookup& table, SharedRules configured) : table_(table), configured_(std::move(configured)) {}

  /// One for each recipient, the same object for those that share their policies; who is not here has the
  /// configuration's. At most one statement. kUnavailable when policies cannot be read: nothing may be judged by
  /// others.
  Task<RulesOfRecipients> rules_for(std::vector<RecipientOwner> recipients, Deadline deadline);
  /// Looks whether anything has changed.
  Task<void> refresh(Deadline deadline);
  /// After a change that this replica has made: nothing is remembered.
  void forget();

  const SharedRules& configured() const { return configured_; }

 private:
  using SharedPolicy = std::shared_ptr<const Policy>;  ///< null: it has none
  struct Known {
    std::int64_t generation = 0;  ///< of refresh(): what was asked for in an earlier one is not remembered
    std::optional<std::int64_t> version;
    bool any = true;
    std::unordered_map<std::int64_t, SharedPolicy> accounts;
    std::unordered_map<std::string, SharedPolicy> domains;
  };
  struct Found;

  Task<void> look_up(Found& found, Deadline deadline);

  PolicyLookup& table_;
  const SharedRules configured_;
  Guarded<Known> known_;
};

}  // namespace merpati::filter
