// Scripts of the operator: those that run before and after each account's own, and those that accounts may include.
#pragma once

#include <string>
#include <vector>

#include "filter/delivery_world.hpp"
#include "merpati/base/result.hpp"
#include "merpati/sieve/interpreter.hpp"

namespace merpati::config::v1 {
class FilterSieve;
}

namespace merpati::filter {

struct OperatorScripts {
  std::vector<sieve::NamedScript> before, after;
  GlobalScripts global;
  SieveLists lists;
};

/// Reads and compiles one file. Blocking; errors as below.
Result<std::shared_ptr<const sieve::Script>> load_operator_script(const std::string& path);

/// Reads and compiles the files that the configuration names. Blocking. kInvalidArgument names the first file that
/// cannot be read, or its first error as "FILE:LINE:COLUMN: TEXT".
Result<OperatorScripts> load_operator_scripts(const config::v1::FilterSieve& config);

}  // namespace merpati::filter
