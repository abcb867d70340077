// Tests: how they are joined, and how values meet keys (RFC 5228 2.7).
#include "machine.hpp"
#include "merpati/sieve/capability.hpp"

namespace merpati::sieve {

bool Machine::test(const Node& node) {
  if (!step(node)) return false;
  switch (node.op) {
    case Op::kTrue:
      return true;
    case Op::kFalse:
      return false;
    case Op::kNot:
      return !test(node.tests[0]) && !out_.error;
    case Op::kAllof:
      for (const Node& inner : node.tests)
        if (!test(inner)) return false;
      return true;
    case Op::kAnyof:
      for (const Node& inner : node.tests) {
        if (test(inner)) return true;
        if (out_.error) return false;
      }
      return false;
    case Op::kUnsupported:
      fail(node, node.note);
      return false;
    default: {
      const bool holds = test_of(node) && !out_.error;
      if (options_.trace) trace(node, holds ? "test: yes" : "test: no");
      return holds;
    }
  }
}

bool Machine::test_of(const Node& node) {
  switch (node.op) {
    case Op::kHeader:
      return test_header(node);
    case Op::kAddress:
      return test_address(node);
    case Op::kExists:
      return test_exists(node);
    case Op::kEnvelope:
      return test_envelope(node);
    case Op::kSize:
      // RFC 5228 5.9: neither includes the size itself
      return node.has(Tag::kOver) ? message_.size() > node.args[0].number : message_.size() < node.args[0].number;
    case Op::kBody:
      return test_body(node);
    case Op::kDate:
    case Op::kCurrentdate:
      return test_date(node);
    case Op::kHasflag:
      return test_hasflag(node);
    case Op::kString:
      return test_string(node);
    case Op::kDuplicate:
      return test_duplicate(node);
    default:
      return test_world(node);
  }
}

bool Machine::keys_of(const Node& node, std::vector<PreparedKey>& made, const std::vector<PreparedKey>*& keys) {
  const Value& given = node.args.back();
  keys = &node.matching.keys;
  if (node.matching.keys.size() == given.texts.size()) return true;
  for (const Text& text : given.texts) {
    std::string problem;
    made.push_back(prepare_key(node.matching, expand(text), 1 << 20, problem));
    if (!problem.empty()) {
      fail(node, problem);
      return false;
    }
  }
  keys = &made;
  return true;
}

bool Machine::matches_value(const Node& node, std::string_view value, const std::vector<PreparedKey>& keys) {
  const Matching& matching = node.matching;
  std::string space;
  const auto prepared = prepare_value(matching, value, space);
  for (const PreparedKey& key : keys) {
    std::uint64_t cost = 1 + value.size() / 64;
    // * costs the product at worst, and so does looking for a part
    if (matching.type == Tag::kMatches) cost += value.size() * key.folded.size() / 1024;
    if (matching.type == Tag::kContains) cost = 1 + value.size() / 256 + value.size() * key.folded.size() / 8192;
    if (matching.type == Tag::kRegex) cost = 1 + value.size() / 16;
    if (!step(node, cost)) return false;
    if (match(matching, key, prepared, matching.capture ? &match_values_ : nullptr)) {
      for (const std::string& kept : match_values_)
        if (kept.size() > options_.limits.max_variable && !use_memory(node, kept.size() / 16)) return false;
      return true;
    }
  }
  return false;
}

bool Machine::in_lists(const Node& node, std::string_view value) {
  for (const Text& text : node.args.back().texts) {
    const std::string list = expand(text);
    bool found = false;
    if (!env_.list_known(list)) {
      fail(node, "there is no external list \"" + list + "\"");  // RFC 6134 2.5
      return false;
    }
    if (!step(node) || !take(node, env_.list_contains(list, value), found)) return false;
    if (found) return true;
  }
  return false;
}

bool Machine::matches(const Node& node, const std::vector<std::string_view>& values) {
  std::vector<PreparedKey> made;
  const std::vector<PreparedKey>* keys = nullptr;
  if (node.matching.type == Tag::kList) {
    for (const auto value : values)
      if (in_lists(node, value) || out_.error) return !out_.error;
    return false;
  }
  if (!keys_of(node, made, keys)) return false;
  if (node.matching.type == Tag::kCount) {
    // RFC 5231 4.2: the number, compared by the comparator
    const std::string count = std::to_string(values.size());
    for (const PreparedKey& key : *keys)
      if (holds(node.matching.relation, compare(node.matching.comparator, count, key.folded))) return true;
    return false;
  }
  for (const auto value : values) {
    if (matches_value(node, value, *keys)) return true;
    if (out_.error) return false;
  }
  return false;
}

}  // namespace merpati::sieve
