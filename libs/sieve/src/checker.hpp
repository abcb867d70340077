// Checker: gives the generic tree its meaning by the grammar's tables, and makes the program.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "grammar.hpp"
#include "parser.hpp"

namespace merpati::sieve {

class Checker {
 public:
  Checker(const CompileLimits& limits, std::vector<Diagnostic>& errors) : limits_(limits), errors_(errors) {}
  std::shared_ptr<const Program> run(const std::vector<SyntaxNode>& commands);

 private:
  void error(Position at, std::string text) { errors_.push_back({at, std::move(text)}); }
  bool has(std::string_view capability) const { return capabilities_.contains(capability); }
  void add_capability(const std::string& name, std::vector<std::string>& to);

  std::vector<Node> block(const std::vector<SyntaxNode>& commands, bool top);
  Node command(const SyntaxNode& syntax, Op previous, bool top);
  Node test(const SyntaxNode& syntax);
  void require(const SyntaxNode& syntax);
  /// Something that an extension would bring: an error, or with ihave only when it is reached (RFC 5463 4).
  void unsupported(Node& node, Position at, std::string text);

  void arguments(const SyntaxNode& syntax, const Rule& rule, Node& node);
  void positional(const SyntaxNode& syntax, const Rule& rule, const std::vector<const SyntaxArgument*>& given,
                  Node& node);
  bool tag_value(const TagRule& tag, const SyntaxArgument& argument, Node& node);
  void tests_of(const SyntaxNode& syntax, const Rule& rule, Node& node);
  Value value(const SyntaxArgument& argument, bool plain);
  Text text(const SyntaxArgument::Item& item, bool plain);
  std::uint32_t variable(const std::string& name);

  // rules_of_*.cpp: what the tables cannot say
  void finish(const Rule& rule, Node& node);
  void matching(const Rule& rule, Node& node);
  void comparator(const Value& name, Node& node);
  void prepare_keys(Node& node);
  void header_names(const Value& names);
  void special(Node& node);
  void special_mail(Node& node);
  void set_target(Node& node, Value& name);
  void headers_of_mime(Node& node);

  const CompileLimits& limits_;
  std::vector<Diagnostic>& errors_;
  std::set<std::string, std::less<>> capabilities_;
  std::shared_ptr<Program> program_;
  std::vector<std::string> loops_;  ///< names of the foreverypart around
  bool commands_seen_ = false;
};

}  // namespace merpati::sieve
