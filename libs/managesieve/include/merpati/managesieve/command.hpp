// One ManageSieve command, parsed (RFC 5804 4). Values only; the caller owns the text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::managesieve {

enum class Verb : std::uint8_t {
  kAuthenticate,
  kStartTls,
  kCapability,
  kLogout,
  kNoop,
  kUnauthenticate,
  kHaveSpace,
  kPutScript,
  kCheckScript,
  kListScripts,
  kSetActive,
  kGetScript,
  kDeleteScript,
  kRenameScript
};
inline constexpr std::size_t kVerbCount = 14;

/// The keyword in upper case, as it is written on the wire. Also a bounded label for metrics.
std::string_view to_string(Verb verb);

struct Command {
  Verb verb = Verb::kNoop;
  /// A script's name in normalization form C. SETACTIVE: may be empty.
  std::string name;
  std::string new_name;                         ///< RENAMESCRIPT
  std::string script;                           ///< PUTSCRIPT, CHECKSCRIPT: any octets
  std::uint32_t size = 0;                       ///< HAVESPACE: octets
  std::string mechanism;                        ///< AUTHENTICATE, in upper case
  std::optional<std::string> initial_response;  ///< AUTHENTICATE, decoded
  std::optional<std::string> tag;               ///< NOOP
};

/// RFC 5804 1.6: 128 characters at least.
inline constexpr std::size_t kMaxNameCharacters = 128;

/// Parses a command: its lines with literals where they stand, without the last CRLF. An error is kInvalidArgument or,
/// for a keyword that is not ours, kUnimplemented; its public text says what is wrong. Never throws.
Result<Command> parse_command(std::string_view text);

/// One answer to a challenge, with its literal and without the last CRLF: the decoded octets, or kCancelled for "*"
/// (RFC 5804 2.1). A kInvalidArgument has a public text.
Result<std::string> parse_sasl_response(std::string_view text);

/// The size of the literal that follows this line ("{n+}" at its end), if one does. kInvalidArgument: "{n}", which only
/// a server may send, or no 32-bit number; what follows such a line cannot be told from commands.
Result<std::optional<std::uint32_t>> announced_literal(std::string_view line);

/// RFC 5804 1.6: UTF-8 without control characters, line and paragraph separators; in normalization form C (RFC 5198 2).
Result<std::string> script_name(std::string_view raw);

}  // namespace merpati::managesieve
