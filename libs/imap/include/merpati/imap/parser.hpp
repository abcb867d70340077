// Bytes to Command. No state, no I/O, no exceptions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"
#include "merpati/imap/command.hpp"

namespace merpati::imap {

/// What the end of a line announces: "{12}", "{12+}", "~{12}" (RFC 9051 4.3).
struct Literal {
  std::uint64_t size = 0;
  bool synchronizing = true;
  bool binary = false;
};
/// The literal that a line (without CRLF) ends with, if any. kOutOfRange for a size that does not fit.
Result<std::optional<Literal>> announced_literal(std::string_view line);

/// The tag at the start of a line, or "*" where there is none (then the answer is untagged BAD).
std::string tag_of(std::string_view text);

/// True when the text so far is an APPEND whose literal, announced at its end, is the message itself; the head then
/// comes by parse_append_head. False also for other commands.
bool announces_append_message(std::string_view text);

/// Parses a whole command: its lines joined by CRLF with the literals in place, without the last CRLF.
/// kInvalidArgument with the text for BAD in public_text().
Result<Command> parse_command(std::string_view text);

/// Parses "tag APPEND mailbox [flags] [date] {n}".
Result<Command> parse_append_head(std::string_view text);

/// "17-Jul-1996 02:44:25 -0700" with a leading blank or zero in the day.
std::optional<DateTime> parse_date_time(std::string_view text);

}  // namespace merpati::imap
