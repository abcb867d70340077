// Mailbox addresses and paths: RFC 5321 4.1.2 and 4.1.3, with the UTF-8 of RFC 6531 3.3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace merpati::smtp {

struct Address {
  std::string local;   ///< unquoted: "a b" of "\"a b\"@example.test"
  std::string domain;  ///< as written; "[192.0.2.1]" for a literal; empty only for <Postmaster>

  /// As in a path, the local part quoted where it must be.
  std::string str() const;
  /// Octets above 127 occur: it needs SMTPUTF8.
  bool needs_utf8() const;
  friend bool operator==(const Address&, const Address&) = default;
};

enum class Utf8 : std::uint8_t { kNo, kYes };

/// "local@domain" without angle brackets, all of it.
std::optional<Address> parse_address(std::string_view text, Utf8 utf8);
/// RFC 5321 4.1.2 Domain, or an address literal.
bool is_domain_or_literal(std::string_view text, Utf8 utf8);
bool is_valid_utf8(std::string_view text);
/// As US-ASCII: names of hosts, verbs, and "postmaster" (RFC 5321 2.4).
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// A path "<...>" at the start of `text`; the source route of old (RFC 5321 F.2) is dropped.
struct Path {
  std::optional<Address> address;  ///< absent for the null path "<>"
  std::size_t length = 0;          ///< octets of `text` that it takes
};
std::optional<Path> parse_path(std::string_view text, Utf8 utf8);

}  // namespace merpati::smtp
