// The names that symbols have, so that a policy's misspelt one is told.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "filter/scoring.hpp"
#include "merpati/base/result.hpp"

namespace merpati::filter {

/// Rspamd's own symbols have it in front; which ones there are, it alone knows.
inline constexpr std::string_view kRspamdPrefix = "RSPAMD_";

class SymbolNames {
 public:
  /// `configured`: names that the configuration gives to lists in DNS.
  explicit SymbolNames(const std::vector<std::string>& configured = {});

  bool knows(std::string_view name) const;
  /// Those that a misspelt name may mean, the likeliest first.
  std::vector<std::string> similar_to(std::string_view name) const;
  /// Whether a policy may give this symbol a weight: kInvalidArgument says why not, with similar names for one that
  /// does not exist. What refuses whatever the score has points only where the configuration weighs it.
  Result<void> check_weight(std::string_view name, const Scoring& configured) const;

 private:
  std::set<std::string, std::less<>> configured_;
};

}  // namespace merpati::filter
