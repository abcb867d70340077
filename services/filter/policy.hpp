// Policies: the thresholds and weights that a domain or an account wants otherwise than the configuration.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filter/scoring.hpp"
#include "merpati/base/result.hpp"

namespace merpati::filter {

/// What one owner has set, by key: a threshold ("greylist", "junk", "refuse", "discard"), or a symbol's weight. No
/// value: never.
using Policy = std::map<std::string, std::optional<double>, std::less<>>;

struct PolicyValue {
  std::string key;
  std::optional<double> value;
  Source source = Source::kConfiguration;
};

/// What one recipient's copy is judged by.
struct Rules {
  Scoring scoring;
  std::vector<PolicyValue> values;  ///< that are not the configuration's; thresholds first
};
using SharedRules = std::shared_ptr<const Rules>;

/// Key by key the account's, else the domain's, else the configuration's; null: none.
SharedRules merge(const Scoring& configured, const Policy* domain, const Policy* account);
/// All that holds, the configuration's too: thresholds, then weights by name. Without `greylists` there is no threshold
/// of greylisting.
std::vector<PolicyValue> values_of(const Rules& rules, bool greylists);

/// What one owner has set itself: thresholds, then weights by name.
std::vector<PolicyValue> values_of(const Policy& policy, Source source);

bool is_threshold(std::string_view key);
/// kInvalidArgument, and what would be right, for a value that no threshold, or no weight, may have.
Result<void> check_value(std::string_view key, std::optional<double> value);
/// kInvalidArgument unless greylist <= junk <= refuse <= discard, as far as there are such.
Result<void> check_order(const Rules& rules);

}  // namespace merpati::filter
