// One POP3 command line, parsed. Values only; the caller owns the line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::pop3 {

enum class Verb : std::uint8_t {
  kUser,
  kPass,
  kAuth,
  kStls,
  kUtf8,
  kCapa,
  kQuit,
  kStat,
  kList,
  kRetr,
  kDele,
  kNoop,
  kRset,
  kTop,
  kUidl
};
inline constexpr std::size_t kVerbCount = 15;

/// The keyword in upper case, as it is written on the wire. Also a bounded label for metrics.
std::string_view to_string(Verb verb);

struct Command {
  Verb verb = Verb::kNoop;
  /// LIST, UIDL: optional; RETR, DELE, TOP: always. At least 1.
  std::optional<std::uint32_t> message;
  /// TOP: lines of the body.
  std::uint32_t lines = 0;
  /// USER: the name; PASS: the password; AUTH: the mechanism in upper case, empty when the client asks for the list.
  std::string text;
  /// AUTH: the decoded initial response; absent when there was none (RFC 5034 4: "=" is an empty one).
  std::optional<std::string> initial_response;
};

/// RFC 2449 4: 255 octets with CRLF.
inline constexpr std::size_t kMaxCommandLine = 255;
/// RFC 5034 4 sets no bound for a line of the exchange; RFC 4954 4 names this one for the same exchange in SMTP.
inline constexpr std::size_t kMaxAuthLine = 12288;

/// Parses a line without its CRLF. An error is kInvalidArgument or, for a keyword that is not ours, kUnimplemented; its
/// public text says what is wrong. Never throws.
Result<Command> parse_command(std::string_view line);

/// One line that the client sent during AUTH, without CRLF: the decoded bytes, or kCancelled for "*" (RFC 5034 4).
Result<std::string> parse_auth_line(std::string_view line);

}  // namespace merpati::pop3
