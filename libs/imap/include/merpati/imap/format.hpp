// Values as a server prints them. Everything appends to one output string, so that a response costs no allocation of
// its own.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/imap/number_set.hpp"

namespace merpati::imap {

template <std::integral T>
void append_number(std::string& out, T value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

/// A string: quoted where that is possible, else a literal. `utf8` allows 8-bit in quoted strings (RFC 9051 4.3).
void append_string(std::string& out, std::string_view value, bool utf8 = false);
/// An atom where possible, else a string.
void append_astring(std::string& out, std::string_view value, bool utf8 = false);
void append_literal(std::string& out, std::string_view value);

/// How names are written to this client: modified UTF-7 until IMAP4rev2 is enabled.
enum class NameForm : std::uint8_t { kModifiedUtf7, kUtf8 };
void append_mailbox(std::string& out, std::string_view name, NameForm form);

/// " 1-Jan-2026 00:00:00 +0000" in quotes, shown in its zone. `seconds` is Unix time.
void append_date_time(std::string& out, std::int64_t seconds, std::int32_t zone_minutes = 0);

/// Makes a text safe for a response line: controls become '?', 8-bit stays out unless it is UTF-8, at most 400 bytes.
std::string response_text(std::string_view text);

bool is_atom(std::string_view text);

}  // namespace merpati::imap
