// Strings of a script: encoded characters (RFC 5228 2.4.2.4) and variables (RFC 5229 3) found at compile time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "program.hpp"

namespace merpati::sieve {

/// "${hex: 40 41}" and "${unicode: 40}" decoded. Nothing when a unicode number is no character.
std::optional<std::string> decode_encoded_characters(std::string_view text);

/// identifier of RFC 5229 3: a letter or _, then letters, digits, _.
bool is_identifier(std::string_view name);

/// Splits at "${name}"; what is no variable stays as it is. `namespaces`: "global", "env" when they are known.
struct Namespaces {
  bool global = false;
  bool environment = false;
};
struct SplitText {
  std::vector<TextPiece> pieces;  ///< of kVariable: the name, without index
  std::string error;              ///< empty: none
};
SplitText split_variables(std::string_view text, const Namespaces& namespaces);

/// Appends a code point.
void append_utf8(std::uint32_t code, std::string& out);

}  // namespace merpati::sieve
