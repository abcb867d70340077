// SieveLists: the operator's lists that scripts may ask, and redirect to (RFC 6134). Immutable.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::config::v1 {
class FilterSieve;
}

namespace merpati::filter {

class SieveLists {
 public:
  /// Reads the files that the configuration names. Blocking. kInvalidArgument says what is wrong.
  static Result<SieveLists> load(const config::v1::FilterSieve& config);

  bool known(std::string_view list) const { return find(list) != nullptr; }
  /// Upper and lower case are the same.
  bool contains(std::string_view list, std::string_view value) const;
  /// All of it; empty for an unknown one.
  std::vector<std::string> members(std::string_view list) const;
  std::size_t size(std::string_view list) const;

 private:
  using List = std::set<std::string, std::less<>>;
  const List* find(std::string_view name) const;
  Result<void> add(List& list, const std::string& name, std::string_view entry);

  std::map<std::string, List, std::less<>> lists_;
  std::size_t entries_ = 0;
};

}  // namespace merpati::filter
