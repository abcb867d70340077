// What the server and a milter settle at the beginning: who may do what, which commands are sent, which macros go with
// them.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"
#include "merpati/milter/protocol.hpp"

namespace merpati::milter {

struct Options {
  std::uint32_t version = kVersion;
  std::uint32_t actions = 0;  ///< bits of `action`: the milter may ask for these changes
  std::uint32_t steps = 0;    ///< bits of `step`
  /// Names of macros that the milter wants at each stage, as "j" and "{auth_type}"; none: the usual ones.
  std::array<std::optional<std::vector<std::string>>, kMacroStages> macros;

  bool has(std::uint32_t step_bit) const { return (steps & step_bit) != 0; }
  bool may(std::uint32_t action_bit) const { return (actions & action_bit) != 0; }
};

/// The data of our SMFIC_OPTNEG: everything that is possible.
std::string offer();
/// The data of the milter's. kInvalidArgument when it is broken, kFailedPrecondition when it wants what was not
/// offered.
Result<Options> parse_options(std::string_view data);
/// "j, {auth_type}" as names, at most 64.
std::vector<std::string> parse_macro_list(std::string_view list);

/// Values by name: "j", "{auth_type}".
using Macros = std::map<std::string, std::string, std::less<>>;
/// The names that are sent at a stage: those that the milter wants, else what Sendmail and Postfix send.
std::vector<std::string> macro_names(const Options& options, MacroStage stage);

}  // namespace merpati::milter
