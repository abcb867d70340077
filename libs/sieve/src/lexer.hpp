// Lexer: tokens of RFC 5228 8.1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/sieve/script.hpp"

namespace merpati::sieve {

enum class TokenKind : std::uint8_t { kIdentifier, kTag, kNumber, kString, kPunctuation, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Position at;
  std::string text;  ///< identifier and tag in lower case (tag without colon), a string's value, the punctuation
  std::uint64_t number = 0;
  bool is(char punctuation) const { return kind == TokenKind::kPunctuation && text[0] == punctuation; }
};

/// Splits `source`; what is no token is told in `errors` and left out. The last token is kEnd.
std::vector<Token> tokenize(std::string_view source, const CompileLimits& limits, std::vector<Diagnostic>& errors);

}  // namespace merpati::sieve
