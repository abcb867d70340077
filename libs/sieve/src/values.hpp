// Forms of values that commands take, checked when a script is compiled and again when variables have filled them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace merpati::sieve {

bool is_field_name(std::string_view name);  ///< RFC 5322 3.6.8
/// No control character but folding; so a value can never start another field.
bool is_field_value(std::string_view value);
bool is_script_name(std::string_view name);  ///< RFC 5804 1.6, and nothing that could be a path
/// One address, with or without a display name.
bool is_mail_address(std::string_view text);
/// Its addr-spec; empty when it is none.
std::string addr_spec_of(std::string_view text);
bool is_dsn_notify(std::string_view text);  ///< RFC 3461 4.1
bool is_envelope_part(std::string_view name, bool dsn);

struct Mailto {
  std::vector<std::string> recipients;
  std::vector<std::pair<std::string, std::string>> headers;
};
/// RFC 6068; nothing when it is none, or has no recipient.
std::optional<Mailto> parse_mailto(std::string_view uri);
inline bool is_mailto(std::string_view uri) { return parse_mailto(uri).has_value(); }

}  // namespace merpati::sieve
