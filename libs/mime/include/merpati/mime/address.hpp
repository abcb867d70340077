// Address lists of RFC 5322 3.4, with groups, comments and the obsolete forms of section 4.4.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace merpati::mime {

/// A mailbox, or the start or end of a group. Strings are as in the message: unquoted, encoded words not decoded.
struct Address {
  enum class Kind : std::uint8_t { kMailbox, kGroupStart, kGroupEnd };
  Kind kind = Kind::kMailbox;
  std::string name;     ///< display name, or the comment after the address; for kGroupStart the group's name
  std::string route;    ///< obsolete source route "@a,@b", else empty
  std::string mailbox;  ///< local part, without quotes
  std::string host;     ///< domain or [literal]; empty when the address has none

  friend bool operator==(const Address&, const Address&) = default;
};

/// Adds the addresses of a (folded or unfolded) field value to `out`, at most until `out` holds `max`. Never fails:
/// what is no address is skipped or becomes a mailbox without host.
void parse_addresses(std::string_view value, std::vector<Address>& out, std::size_t max = 10'000);
std::vector<Address> parse_addresses(std::string_view value);

/// "local@host" of a mailbox, the local part quoted where RFC 5321 4.1.2 needs it.
std::string to_addr_spec(const Address& address);

/// As a quoted string (RFC 5322 3.2.4), without line breaks.
std::string quoted_string(std::string_view text);

/// Moves `at` past folding white space and nested comments (RFC 5322 3.2.2). The text of the last comment goes to
/// `comment` when it is not null.
void skip_cfws(std::string_view text, std::size_t& at, std::string* comment = nullptr);

}  // namespace merpati::mime
