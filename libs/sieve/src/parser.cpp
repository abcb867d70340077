#include "parser.hpp"

namespace merpati::sieve {
namespace {

class Parser {
 public:
  Parser(std::vector<Token> tokens, const CompileLimits& limits, std::vector<Diagnostic>& errors)
      : tokens_(std::move(tokens)), limits_(limits), errors_(errors) {}

  std::vector<SyntaxNode> run() {
    std::vector<SyntaxNode> commands;
    while (!at_end() && !given_up()) {
      if (here().is('}')) {
        error(here().at, "this } closes nothing");
        ++at_;
        continue;
      }
      commands.push_back(command());
    }
    return commands;
  }

 private:
  const Token& here() const { return tokens_[at_]; }
  bool at_end() const { return here().kind == TokenKind::kEnd; }
  bool given_up() const { return stopped_ || errors_.size() >= limits_.max_errors; }
  void error(Position where, std::string text) { errors_.push_back({where, std::move(text)}); }
  std::string shown() const {
    switch (here().kind) {
      case TokenKind::kString:
        return "a string";
      case TokenKind::kNumber:
        return "a number";
      case TokenKind::kTag:
        return ":" + here().text;
      case TokenKind::kEnd:
        return here().text;
      default:
        return "'" + here().text + "'";
    }
  }

  bool enter(Position where) {
    if (++nodes_ > limits_.max_nodes) {
      error(where, "the script has more than " + std::to_string(limits_.max_nodes) + " commands and tests");
      stopped_ = true;
    } else if (depth_ >= limits_.max_nesting) {
      error(where, "blocks and tests are nested deeper than " + std::to_string(limits_.max_nesting));
      stopped_ = true;
    }
    return !stopped_;
  }

  SyntaxNode command() {
    SyntaxNode node;
    node.at = here().at;
    if (here().kind != TokenKind::kIdentifier) {
      error(here().at, "a command is expected here, not " + shown());
      recover();
      return node;
    }
    if (!enter(node.at)) return node;
    node.name = here().text;
    ++at_;
    arguments(node);
    if (given_up()) return node;
    if (here().is(';')) {
      ++at_;
    } else if (here().is('{')) {
      block(node);
    } else {
      error(here().at, "after " + node.name + " a ; or { is expected, not " + shown());
      recover();
    }
    return node;
  }

  void block(SyntaxNode& node) {
    const Position start = here().at;
    node.has_block = true;
    ++at_;
    ++depth_;
    while (!at_end() && !here().is('}') && !given_up()) node.block.push_back(command());
    --depth_;
    if (given_up()) return;
    if (at_end()) return error(start, "this { has no } that closes it");
    ++at_;
  }

  /// To the end of the command that is broken: past its ; or its block. A } that closes the block around it stays.
  void recover() {
    for (int depth = 0; !at_end(); ++at_) {
      if (depth == 0 && here().is('}') && depth_ > 0) return;
      if (here().is('{')) ++depth;
      if (here().is('}')) --depth;
      if (depth <= 0 && (here().is(';') || here().is('}'))) {
        ++at_;
        return;
      }
    }
  }

  void arguments(SyntaxNode& node) {
    while (!given_up()) {
      switch (here().kind) {
        case TokenKind::kTag:
          node.arguments.push_back({SyntaxArgument::Kind::kTag, here().at, here().text, 0, {}});
          ++at_;
          continue;
        case TokenKind::kNumber:
          node.arguments.push_back({SyntaxArgument::Kind::kNumber, here().at, {}, here().number, {}});
          ++at_;
          continue;
        case TokenKind::kString:
          node.arguments.push_back({SyntaxArgument::Kind::kString, here().at, {}, 0, {{here().at, here().text}}});
          ++at_;
          continue;
        case TokenKind::kPunctuation:
          if (here().is('[')) {
            list(node);
            continue;
          }
          if (here().is('(')) test_list(node);
          return;
        case TokenKind::kIdentifier:
          if (node.tests.empty()) node.tests.push_back(test());
          return;
        default:
          return;
      }
    }
  }

  void list(SyntaxNode& node) {
    SyntaxArgument argument{SyntaxArgument::Kind::kList, here().at, {}, 0, {}};
    ++at_;
    for (;;) {
      if (here().kind != TokenKind::kString) {
        error(here().at, "a list holds strings, not " + shown());
        while (!at_end() && !here().is(']') && !here().is(';') && !here().is('{')) ++at_;
        if (here().is(']')) ++at_;
        break;
      }
      argument.strings.push_back({here().at, here().text});
      ++at_;
      if (here().is(',')) {
        ++at_;
        continue;
      }
      if (!here().is(']'))
        error(here().at, "in a list , or ] is expected, not " + shown());
      else
        ++at_;
      break;
    }
    if (argument.strings.size() > limits_.max_list)
      error(argument.at, "this list has more than " + std::to_string(limits_.max_list) + " strings");
    node.arguments.push_back(std::move(argument));
  }

  void test_list(SyntaxNode& node) {
    node.has_test_list = true;
    ++at_;
    for (;;) {
      node.tests.push_back(test());
      if (given_up()) return;
      if (here().is(',')) {
        ++at_;
        continue;
      }
      if (!here().is(')')) return error(here().at, "in a list of tests , or ) is expected, not " + shown());
      ++at_;
      return;
    }
  }

  SyntaxNode test() {
    SyntaxNode node;
    node.at = here().at;
    if (here().kind != TokenKind::kIdentifier) {
      error(here().at, "a test is expected here, not " + shown());
      return node;
    }
    if (!enter(node.at)) return node;
    node.name = here().text;
    ++at_;
    ++depth_;
    arguments(node);
    --depth_;
    return node;
  }

  std::vector<Token> tokens_;
  const CompileLimits& limits_;
  std::vector<Diagnostic>& errors_;
  std::size_t at_ = 0, depth_ = 0, nodes_ = 0;
  bool stopped_ = false;
};

}  // namespace

std::vector<SyntaxNode> parse(std::vector<Token> tokens, const CompileLimits& limits, std::vector<Diagnostic>& errors) {
  return Parser(std::move(tokens), limits, errors).run();
}

}  // namespace merpati::sieve
