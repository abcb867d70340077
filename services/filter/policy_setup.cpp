#include "filter/policy_setup.hpp"

#include "merpati/config/v1/filter.pb.h"

namespace merpati::filter {

Scoring scoring_from(const config::v1::Filter& config) {
  Scoring scoring;
  const auto& thresholds = config.thresholds();
  scoring.thresholds = {thresholds.junk(), thresholds.temporary(), thresholds.refuse(), thresholds.discard(), kNever};
  if (config.greylist().enabled()) scoring.thresholds.greylist = config.greylist().threshold();
  for (const auto& weight : config.weights()) scoring.weights[weight.symbol()] = weight.score();
  return scoring;
}

SymbolNames symbol_names(const config::v1::Filter& config) {
  std::vector<std::string> names;
  for (const auto& list : config.dns_lists().lists()) {
    names.push_back(list.symbol());
    for (const auto& code : list.codes()) names.push_back(code.symbol());
  }
  return SymbolNames(names);
}

}  // namespace merpati::filter
