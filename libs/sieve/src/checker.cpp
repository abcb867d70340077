#include "checker.hpp"

#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/sieve/capability.hpp"
#include "text.hpp"

namespace merpati::sieve {

bool Program::has(std::string_view capability) const {
  return std::ranges::find(required, capability) != required.end() ||
         std::ranges::find(tested, capability) != tested.end();
}

std::shared_ptr<const Program> Checker::run(const std::vector<SyntaxNode>& commands) {
  program_ = std::make_shared<Program>();
  program_->commands = block(commands, true);
  return program_;
}

void Checker::add_capability(const std::string& name, std::vector<std::string>& to) {
  if (!capabilities_.insert(name).second) return;
  to.push_back(name);
  if (const auto more = implied_by(name); !more.empty()) add_capability(std::string(more), to);
}

void Checker::unsupported(Node& node, Position at, std::string text) {
  if (!has("ihave")) return error(at, std::move(text));
  if (node.op != Op::kUnsupported) node.note = std::move(text);
  node.op = Op::kUnsupported;
}

std::vector<Node> Checker::block(const std::vector<SyntaxNode>& commands, bool top) {
  std::vector<Node> nodes;
  Op previous = Op::kStop;
  for (const SyntaxNode& syntax : commands) {
    if (errors_.size() >= limits_.max_errors) break;
    if (syntax.name.empty()) continue;
    Node node = command(syntax, previous, top);
    previous = node.op == Op::kUnsupported ? Op::kIf : node.op;
    if (node.op != Op::kRequire) nodes.push_back(std::move(node));
  }
  return nodes;
}

Node Checker::command(const SyntaxNode& syntax, Op previous, bool top) {
  Node node;
  node.at = syntax.at;
  const Rule* rule = find_command(syntax.name);
  if (rule == nullptr) {
    commands_seen_ = true;
    unsupported(node, syntax.at,
                find_test(syntax.name) != nullptr ? syntax.name + " is a test and no command: it stands after if"
                                                  : "there is no command named " + syntax.name);
    return node;
  }
  node.op = rule->op;
  if (rule->op == Op::kRequire) {
    // RFC 5228 3.2: before all other commands
    if (!top || commands_seen_) error(syntax.at, "require must stand before all other commands");
    require(syntax);
    return node;
  }
  commands_seen_ = true;
  if (rule->op == Op::kElsif || rule->op == Op::kElse) {
    if (previous != Op::kIf && previous != Op::kElsif) error(syntax.at, syntax.name + " needs an if before it");
  }
  arguments(syntax, *rule, node);
  tests_of(syntax, *rule, node);
  if (rule->block != syntax.has_block) {
    error(syntax.at, rule->block ? "after " + syntax.name + " a block in { } is expected"
                                 : syntax.name + " takes no block: it ends with ;");
  }
  finish(*rule, node);
  if (rule->op == Op::kForeverypart)
    loops_.push_back(node.has(Tag::kName) ? node.find(Tag::kName)->texts[0].literal : std::string());
  node.block = block(syntax.block, false);
  if (rule->op == Op::kForeverypart) loops_.pop_back();
  return node;
}

Node Checker::test(const SyntaxNode& syntax) {
  Node node;
  node.op = Op::kFalse;
  node.at = syntax.at;
  if (syntax.name.empty()) return node;
  const Rule* rule = find_test(syntax.name);
  if (rule == nullptr) {
    unsupported(node, syntax.at,
                find_command(syntax.name) != nullptr ? syntax.name + " is a command and no test"
                                                     : "there is no test named " + syntax.name);
    return node;
  }
  node.op = rule->op;
  arguments(syntax, *rule, node);
  tests_of(syntax, *rule, node);
  finish(*rule, node);
  return node;
}

void Checker::require(const SyntaxNode& syntax) {
  if (syntax.arguments.size() != 1 || syntax.arguments[0].strings.empty())
    return error(syntax.at, "require takes a string or a list of strings");
  for (const auto& [at, name] : syntax.arguments[0].strings) {
    if (has_capability(name))
      add_capability(name, program_->required);
    else
      error(at, "the extension \"" + name + "\" is not known");
  }
}

void Checker::tests_of(const SyntaxNode& syntax, const Rule& rule, Node& node) {
  const std::string& name = syntax.name;
  if (rule.tests == 0 && !syntax.tests.empty()) return error(syntax.tests[0].at, name + " takes no test");
  if (rule.tests == 1 && (syntax.has_test_list || syntax.tests.size() != 1))
    return error(syntax.at, name + " takes one test; anyof (...) or allof (...) joins several");
  if (rule.tests < 0 && !syntax.has_test_list) return error(syntax.at, name + " takes a list of tests in ( )");
  for (const SyntaxNode& inner : syntax.tests) node.tests.push_back(test(inner));
}

namespace {

std::string_view name_of(Takes takes) {
  switch (takes) {
    case Takes::kNumber:
      return "a number";
    case Takes::kString:
      return "a string";
    case Takes::kStrings:
      return "a string or a list of strings";
    default:
      return "nothing";
  }
}

bool fits(Takes takes, const SyntaxArgument& argument) {
  switch (argument.kind) {
    case SyntaxArgument::Kind::kNumber:
      return takes == Takes::kNumber;
    case SyntaxArgument::Kind::kString:
      return takes == Takes::kString || takes == Takes::kStrings;
    case SyntaxArgument::Kind::kList:
      return takes == Takes::kStrings;
    default:
      return false;
  }
}

/// Arguments that are read when the script is compiled, so that no variable can be in them.
bool is_plain(Op op, std::size_t index) {
  switch (op) {
    case Op::kInclude:
    case Op::kGlobal:
    case Op::kIhave:
    case Op::kExtracttext:
      return true;
    case Op::kSet:
      return index == 0;
    default:
      return false;
  }
}
bool is_plain(Tag tag) {
  return tag == Tag::kComparator || tag == Tag::kCount || tag == Tag::kValue || tag == Tag::kName;
}

}  // namespace

void Checker::arguments(const SyntaxNode& syntax, const Rule& rule, Node& node) {
  if (!rule.capability.empty() && !has(rule.capability)) {
    unsupported(node, syntax.at, syntax.name + " needs require \"" + std::string(rule.capability) + "\"");
    return;
  }
  std::vector<const SyntaxArgument*> given;
  std::vector<int> groups;
  for (std::size_t i = 0; i < syntax.arguments.size(); ++i) {
    const SyntaxArgument& argument = syntax.arguments[i];
    if (argument.kind != SyntaxArgument::Kind::kTag) {
      given.push_back(&argument);
      continue;
    }
    const TagRule* tag = find_tag(rule, argument.tag);
    if (tag == nullptr) {
      unsupported(node, argument.at, syntax.name + " has no argument :" + argument.tag);
      if (node.op == Op::kUnsupported) return;
      continue;
    }
    if (!tag->capability.empty() && !has(tag->capability))
      unsupported(node, argument.at, ":" + argument.tag + " needs require \"" + std::string(tag->capability) + "\"");
    if (node.op == Op::kUnsupported) return;
    if (node.has(tag->tag))
      error(argument.at, ":" + argument.tag + " is given twice");
    else if (tag->group != 0 && std::ranges::find(groups, tag->group) != groups.end())
      error(argument.at, ":" + argument.tag + " cannot stand beside another argument of its kind");
    groups.push_back(tag->group);
    if (tag->takes == Takes::kNothing) {
      node.tags.push_back({tag->tag, {{}, 0, argument.at}});
    } else if (i + 1 >= syntax.arguments.size() || !fits(tag->takes, syntax.arguments[i + 1])) {
      error(argument.at, "after :" + argument.tag + " " + std::string(name_of(tag->takes)) + " is expected");
    } else {
      node.tags.push_back({tag->tag, value(syntax.arguments[++i], is_plain(tag->tag))});
    }
  }
  positional(syntax, rule, given, node);
}

void Checker::positional(const SyntaxNode& syntax, const Rule& rule, const std::vector<const SyntaxArgument*>& given,
                         Node& node) {
  const std::size_t most = rule.args.size(), least = most - static_cast<std::size_t>(rule.optional_args);
  if (given.size() < least || given.size() > most) {
    std::string text = syntax.name + " takes ";
    if (most == 0) text += "no string, list or number";
    for (std::size_t i = 0; i < most; ++i) text += (i == 0 ? "" : ", then ") + std::string(name_of(rule.args[i]));
    error(given.size() > most ? given[most]->at : syntax.at, text);
    return;
  }
  const std::size_t skip = rule.optional_last ? 0 : most - given.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (!fits(rule.args[i + skip], *given[i])) {
      error(given[i]->at, std::string(name_of(rule.args[i + skip])) + " is expected here");
      continue;
    }
    node.args.push_back(value(*given[i], is_plain(rule.op, i)));
  }
}

Value Checker::value(const SyntaxArgument& argument, bool plain) {
  Value result;
  result.number = argument.number;
  result.at = argument.at;
  for (const auto& item : argument.strings) result.texts.push_back(text(item, plain));
  return result;
}

Text Checker::text(const SyntaxArgument::Item& item, bool plain) {
  Text result{item.text, {}, item.at};
  if (item.text.find("${") != std::string::npos) {
    if (has("encoded-character")) {
      auto decoded = decode_encoded_characters(item.text);
      if (!decoded)
        error(item.at, "${unicode:...} has a number that is no character");
      else
        result.literal = std::move(*decoded);
    }
    if (has("variables") && result.literal.find("${") != std::string::npos) {
      auto split = split_variables(result.literal, {has("include"), has("vnd.dovecot.environment")});
      if (!split.error.empty()) error(item.at, split.error);
      const bool variables = std::ranges::any_of(
          split.pieces, [](const TextPiece& piece) { return piece.kind != TextPiece::Kind::kLiteral; });
      if (variables && plain) error(item.at, "variables cannot be used here");
      if (variables) {
        for (TextPiece& piece : split.pieces)
          if (piece.kind == TextPiece::Kind::kVariable) piece.index = variable(piece.text);
        result.pieces = std::move(split.pieces);
      }
    }
  }
  return result;
}

std::uint32_t Checker::variable(const std::string& name) {
  auto& names = program_->variables;
  const auto index = static_cast<std::uint32_t>(std::ranges::find(names, name) - names.begin());
  if (index == names.size()) names.push_back(name);
  return index;
}

const std::vector<std::string>& Script::required() const { return program_->required; }

Compiled compile(std::string_view source, const CompileLimits& limits) {
  Compiled result;
  if (source.size() > limits.max_size) {
    result.errors.push_back({{1, 1}, "the script is larger than " + std::to_string(limits.max_size) + " octets"});
    return result;
  }
  if (!mime::is_valid_utf8(source) || source.find('\0') != std::string_view::npos) {
    // RFC 5228 2.1: UTF-8, without NUL
    std::uint32_t line = 1;
    std::size_t start = 0;
    for (std::size_t end = source.find('\n'); end != std::string_view::npos; end = source.find('\n', start)) {
      const std::string_view text = source.substr(start, end - start);
      if (!mime::is_valid_utf8(text) || text.find('\0') != std::string_view::npos) break;
      ++line, start = end + 1;
    }
    result.errors.push_back({{line, 1}, "this line is not UTF-8 text"});
    return result;
  }
  const auto commands = parse(tokenize(source, limits, result.errors), limits, result.errors);
  auto program = Checker(limits, result.errors).run(commands);
  std::ranges::stable_sort(result.errors, [](const Diagnostic& a, const Diagnostic& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  result.errors.erase(std::ranges::unique(result.errors).begin(), result.errors.end());
  if (result.errors.size() > limits.max_errors) result.errors.resize(limits.max_errors);
  if (result.errors.empty()) result.script = std::make_shared<Script>(std::move(program));
  return result;
}

std::string to_text(const std::vector<Diagnostic>& errors) {
  std::string text;
  for (const auto& [at, message] : errors)
    text += std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + message + "\n";
  return text;
}

}  // namespace merpati::sieve
