// Mailbox names: modified UTF-7 (RFC 3501 5.1.3), validity, and LIST patterns.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace merpati::imap {

inline constexpr char kSeparator = '/';

/// UTF-8 to modified UTF-7. Bytes that are not UTF-8 become U+FFFD.
std::string to_modified_utf7(std::string_view utf8);
/// Nothing when the name is not well-formed modified UTF-7.
std::optional<std::string> from_modified_utf7(std::string_view text);
bool is_utf8(std::string_view text);
bool is_ascii(std::string_view text);

/// "inbox" in any case becomes "INBOX", also as the first level ("Inbox/a").
std::string canonical_inbox(std::string_view name);

/// RFC 9051 6.3.9: '*' matches anything, '%' anything but the separator. INBOX is matched in any case.
bool matches_pattern(std::string_view pattern, std::string_view name);

/// Converts a search string from a charset that ICU knows. Nothing for an unknown charset.
std::optional<std::string> to_utf8(std::string_view charset, std::string_view bytes);

}  // namespace merpati::imap
