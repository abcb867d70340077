#include "filter/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace merpati::filter {
namespace {

constexpr double kMostThreshold = 1000;  // points
constexpr double kMostWeight = 1000;     // for a message or against it

/// In the order that they have to be in.
struct ThresholdKey {
  std::string_view key;
  double Thresholds::*member;
  double never;  ///< the value that switches it off
};
constexpr std::array<ThresholdKey, 4> kThresholds = {{
    {"greylist", &Thresholds::greylist, kNever},
    {"junk", &Thresholds::junk, 0},
    {"refuse", &Thresholds::refuse, 0},
    {"discard", &Thresholds::discard, 0},
}};

std::optional<double> value_of(const ThresholdKey& threshold, const Thresholds& thresholds) {
  const double value = thresholds.*threshold.member;
  return value == threshold.never ? std::nullopt : std::optional(value);
}

void set(const Policy& policy, Source source, bool greylists, Rules& rules) {
  for (const auto& [key, value] : policy) {
    // Where nobody is greylisted there is nothing to say of it.
    if (key == "greylist" && !greylists) continue;
    const auto known = std::ranges::find(rules.values, key, &PolicyValue::key);
    if (known != rules.values.end())
      *known = {key, value, source};
    else
      rules.values.push_back({key, value, source});
    const auto threshold = std::ranges::find(kThresholds, key, &ThresholdKey::key);
    if (threshold != kThresholds.end())
      rules.scoring.thresholds.*threshold->member = value.value_or(threshold->never);
    else if (value)
      rules.scoring.own_weights[key] = {*value, source};
  }
}

/// Thresholds in their order, then weights by name.
bool stands_before(const PolicyValue& a, const PolicyValue& b) {
  const auto place = [](const PolicyValue& value) {
    return std::ranges::find(kThresholds, value.key, &ThresholdKey::key) - kThresholds.begin();
  };
  return std::pair(place(a), std::string_view(a.key)) < std::pair(place(b), std::string_view(b.key));
}

std::string_view whose(Source source) {
  if (source == Source::kDomain) return " (of the domain)";
  return source == Source::kAccount ? "" : " (of the configuration)";
}

Error refused(std::string text) { return Error(ErrorCode::kInvalidArgument, text).with_public(text); }

}  // namespace

SharedRules merge(const Scoring& configured, const Policy* domain, const Policy* account) {
  auto rules = std::make_shared<Rules>();
  rules->scoring = configured;
  const bool greylists = configured.thresholds.greylist != kNever;
  if (domain != nullptr) set(*domain, Source::kDomain, greylists, *rules);
  if (account != nullptr) set(*account, Source::kAccount, greylists, *rules);
  std::ranges::sort(rules->values, stands_before);
  return rules;
}

std::vector<PolicyValue> values_of(const Rules& rules, bool greylists) {
  std::vector<PolicyValue> out = rules.values;
  const auto add = [&](std::string_view key, std::optional<double> value) {
    if (std::ranges::find(out, key, &PolicyValue::key) == out.end()) out.push_back({std::string(key), value});
  };
  for (const auto& threshold : kThresholds) add(threshold.key, value_of(threshold, rules.scoring.thresholds));
  for (const auto& [symbol, score] : rules.scoring.weights) add(symbol, score);
  if (!greylists) std::erase_if(out, [](const PolicyValue& value) { return value.key == "greylist"; });
  std::ranges::sort(out, stands_before);
  return out;
}

std::vector<PolicyValue> values_of(const Policy& policy, Source source) {
  std::vector<PolicyValue> out;
  for (const auto& [key, value] : policy) out.push_back({key, value, source});
  std::ranges::sort(out, stands_before);
  return out;
}

bool is_threshold(std::string_view key) {
  return std::ranges::find(kThresholds, key, &ThresholdKey::key) != kThresholds.end();
}

Result<void> check_value(std::string_view key, std::optional<double> value) {
  if (!is_threshold(key)) {
    if (!value)
      return refused(fmt::format("{}: a weight is a number of points; 0 makes the symbol count nothing", key));
    if (std::isfinite(*value) && std::abs(*value) <= kMostWeight) return {};
    return refused(fmt::format("{}: a weight is from -{:g} to {:g} points", key, kMostWeight, kMostWeight));
  }
  if (!value) return {};
  const bool zero = key == "greylist" && *value == 0;
  if (std::isfinite(*value) && *value <= kMostThreshold && (*value > 0 || zero)) return {};
  if (key == "greylist")
    return refused(fmt::format("greylist: from 0 (whatever the score) to {:g} points, or never", kMostThreshold));
  return refused(fmt::format("{}: more than 0 and at most {:g} points, or never", key, kMostThreshold));
}

Result<void> check_order(const Rules& rules) {
  const auto source = [&](std::string_view key) {
    const auto own = std::ranges::find(rules.values, key, &PolicyValue::key);
    return own == rules.values.end() ? Source::kConfiguration : own->source;
  };
  const ThresholdKey* before = nullptr;
  for (const auto& threshold : kThresholds) {
    const auto value = value_of(threshold, rules.scoring.thresholds);
    if (!value) continue;
    if (before != nullptr && rules.scoring.thresholds.*before->member > *value) {
      return refused(
          fmt::format("{} from {:g} points{} on is never reached, since {} is from {:g}{} on: they must be in "
                      "the order greylist, junk, refuse, discard",
                      before->key, rules.scoring.thresholds.*before->member, whose(source(before->key)), threshold.key,
                      *value, whose(source(threshold.key))));
    }
    before = &threshold;
  }
  return {};
}

}  // namespace merpati::filter
