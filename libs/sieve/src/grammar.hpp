// Grammar: what each command and test takes, as tables. The checker reads scripts by them.
#pragma once

#include <span>
#include <string_view>

#include "program.hpp"

namespace merpati::sieve {

enum class Takes : std::uint8_t { kNothing, kNumber, kString, kStrings };

/// A tagged argument. `group`: at most one tag of a group may be given; 0 means one of its own.
struct TagRule {
  std::string_view name;
  Tag tag;
  Takes takes = Takes::kNothing;
  std::string_view capability = {};
  int group = 0;
};

/// Sets of tags that several commands share.
enum Shares : std::uint8_t {
  kShareNone = 0,
  kShareMatch = 1,
  kSharePart = 2,
  kShareIndex = 4,
  kShareMime = 8,
  kShareFcc = 16,
  kShareMailbox = 32,
  kShareModifiers = 64
};

enum class Kind : std::uint8_t { kControl, kAction, kTest };

struct Rule {
  std::string_view name;
  Op op;
  Kind kind;
  std::string_view capability;
  unsigned shares;
  std::span<const TagRule> tags;
  std::span<const Takes> args;
  int optional_args = 0;  ///< how many of the first may be left out (or of the last, where `optional_last`)
  bool optional_last = false;
  int tests = 0;  ///< 0, 1, or -1: a list
  bool block = false;
};

const Rule* find_command(std::string_view name);
const Rule* find_test(std::string_view name);
/// A tag that `rule` knows by this name, or null.
const TagRule* find_tag(const Rule& rule, std::string_view name);

}  // namespace merpati::sieve
