// Parser: the generic grammar of RFC 5228 8.2, before anything is known of what a name means.
#pragma once

#include <string>
#include <vector>

#include "lexer.hpp"

namespace merpati::sieve {

struct SyntaxArgument {
  enum class Kind : std::uint8_t { kTag, kNumber, kString, kList };
  Kind kind = Kind::kTag;
  Position at;
  std::string tag;
  std::uint64_t number = 0;
  struct Item {
    Position at;
    std::string text;
  };
  std::vector<Item> strings;  ///< of kString and kList
};

/// A command or a test.
struct SyntaxNode {
  Position at;
  std::string name;
  std::vector<SyntaxArgument> arguments;
  std::vector<SyntaxNode> tests;
  bool has_test_list = false;  ///< in parentheses
  std::vector<SyntaxNode> block;
  bool has_block = false;
};

std::vector<SyntaxNode> parse(std::vector<Token> tokens, const CompileLimits& limits, std::vector<Diagnostic>& errors);

}  // namespace merpati::sieve
