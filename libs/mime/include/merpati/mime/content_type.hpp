// Content-Type, Content-Disposition and their parameters (RFC 2045 5.1, RFC 2183, RFC 2231).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace merpati::mime {

/// Name in lower case. Continuations (name*0, name*1) are joined; a value in RFC 2231's extended form keeps it, and the
/// name then ends in "*".
struct Parameter {
  std::string name;
  std::string value;
  friend bool operator==(const Parameter&, const Parameter&) = default;
};
using Parameters = std::vector<Parameter>;

struct ContentType {
  std::string type;     ///< lower case
  std::string subtype;  ///< lower case
  Parameters parameters;
};

/// Nothing when the value has no "type/subtype".
std::optional<ContentType> parse_content_type(std::string_view value);

struct Disposition {
  std::string type;  ///< lower case
  Parameters parameters;
};
std::optional<Disposition> parse_disposition(std::string_view value);

/// The raw value, or nothing.
std::optional<std::string_view> find_parameter(const Parameters& parameters, std::string_view name);
/// The value in UTF-8: RFC 2231 decoded, else RFC 2047 encoded words decoded (wrong but common).
std::optional<std::string> decoded_parameter(const Parameters& parameters, std::string_view name);

}  // namespace merpati::mime
