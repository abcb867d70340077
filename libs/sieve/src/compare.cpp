#include "compare.hpp"

#include <algorithm>
#include <cstring>

#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::sieve {
namespace {

/// RFC 4790 9.1: digits at the start without leading zeros; nothing is infinity.
std::optional<std::string_view> number_of(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  if (end == 0) return std::nullopt;
  std::size_t start = 0;
  while (start + 1 < end && text[start] == '0') ++start;
  return text.substr(start, end - start);
}

int compare_numbers(std::string_view a, std::string_view b) {
  const auto x = number_of(a), y = number_of(b);
  if (!x || !y) return x.has_value() == y.has_value() ? 0 : x ? -1 : 1;
  if (x->size() != y->size()) return x->size() < y->size() ? -1 : 1;
  return x->compare(*y);
}

bool is_ascii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return (c & 0x80) != 0; });
}

std::string fold(Comparator comparator, std::string_view text) {
  switch (comparator) {
    case Comparator::kAsciiCasemap:
      return mime::to_lower(text);
    case Comparator::kUnicodeCasemap:
      return mime::casemap(text);
    default:
      return std::string(text);
  }
}

std::size_t character_size(std::string_view text, std::size_t at) {
  std::size_t size = 1;
  while (at + size < text.size() && (text[at + size] & 0xC0) == 0x80) ++size;
  return size;
}

/// A value folded, with where each folded octet came from.
struct Folded {
  std::string text;
  std::vector<std::uint32_t> origin;  ///< empty: the same
  std::size_t original(std::size_t at) const { return origin.empty() ? at : origin[at]; }
};

Folded fold_with_origin(Comparator comparator, std::string_view text) {
  Folded out;
  if (comparator != Comparator::kUnicodeCasemap || is_ascii(text)) {
    out.text = fold(comparator, text);
    return out;
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character_size(text, at);
    const std::string one = mime::casemap(text.substr(at, size));
    out.text += one;
    out.origin.insert(out.origin.end(), one.size(), static_cast<std::uint32_t>(at));
    at += size;
  }
  out.origin.push_back(static_cast<std::uint32_t>(text.size()));
  return out;
}

struct Range {
  std::size_t from = 0, to = 0;
};

/// RFC 5228 2.7.1: * is any run, ? one character, \ quotes. Each * takes as little as it can (RFC 5229 3.2). One step
/// back to the last * is enough, so the time is at most the product of the lengths.
class Wildcards {
 public:
  Wildcards(std::string_view pattern, std::string_view text, bool octets)
      : pattern_(pattern), text_(text), octets_(octets) {}

  bool run() {
    std::size_t p = 0, t = 0, star_p = std::string_view::npos, star_t = 0, star_ranges = 0;
    for (;;) {
      if (p < pattern_.size() && pattern_[p] == '*') {
        star_p = p++;
        star_t = t;
        star_ranges = ranges.size();
        ranges.push_back({t, t});
        continue;
      }
      if (p == pattern_.size() && t == text_.size()) return true;
      if (p < pattern_.size() && t < text_.size() && step(p, t)) continue;
      if (star_p == std::string_view::npos || star_t >= text_.size()) return false;
      star_t += octets_ ? 1 : character_size(text_, star_t);
      ranges.resize(star_ranges + 1);
      ranges.back().to = star_t;
      t = star_t;
      p = star_p + 1;
    }
  }

  std::vector<Range> ranges;

 private:
  bool step(std::size_t& p, std::size_t& t) {
    if (pattern_[p] == '?') {
      const std::size_t size = octets_ ? 1 : character_size(text_, t);
      ranges.push_back({t, t + size});
      ++p, t += size;
      return true;
    }
    const std::size_t quoted = pattern_[p] == '\\' && p + 1 < pattern_.size() ? 1 : 0;
    if (pattern_[p + quoted] != text_[t]) return false;
    p += quoted + 1, ++t;
    return true;
  }

  std::string_view pattern_, text_;
  bool octets_;
};

bool match_wildcards(const Matching& matching, const PreparedKey& key, std::string_view value,
                     std::vector<std::string>* captures) {
  const Folded folded = fold_with_origin(matching.comparator, value);
  Wildcards wildcards(key.folded, folded.text, matching.comparator == Comparator::kOctet);
  if (!wildcards.run()) return false;
  if (captures != nullptr) {
    captures->assign(1, std::string(value));
    for (const auto& [from, to] : wildcards.ranges) {
      const std::size_t start = folded.original(from);
      captures->emplace_back(value.substr(start, folded.original(to) - start));
    }
  }
  return true;
}

bool match_regex(const PreparedKey& key, std::string_view value, std::vector<std::string>* captures) {
  if (key.regex == nullptr) return false;
  const re2::StringPiece text(value.data(), value.size());
  const int groups = captures == nullptr ? 0 : std::min(key.regex->NumberOfCapturingGroups() + 1, 100);
  std::vector<re2::StringPiece> found(static_cast<std::size_t>(groups));
  if (!key.regex->Match(text, 0, text.size(), re2::RE2::UNANCHORED, found.data(), groups)) return false;
  if (captures != nullptr) {
    captures->clear();
    for (const auto& piece : found) captures->emplace_back(piece.data() == nullptr ? "" : piece.data(), piece.size());
  }
  return true;
}

}  // namespace

std::optional<Relation> relation_from_name(std::string_view name) {
  static constexpr std::pair<std::string_view, Relation> kNames[] = {{"gt", Relation::kGt}, {"ge", Relation::kGe},
                                                                     {"lt", Relation::kLt}, {"le", Relation::kLe},
                                                                     {"eq", Relation::kEq}, {"ne", Relation::kNe}};
  for (const auto& [text, relation] : kNames)
    if (mime::iequals(text, name)) return relation;
  return std::nullopt;
}

int compare(Comparator comparator, std::string_view a, std::string_view b) {
  if (comparator == Comparator::kAsciiNumeric) return compare_numbers(a, b);
  return fold(comparator, a).compare(fold(comparator, b));
}

bool holds(Relation relation, int order) {
  switch (relation) {
    case Relation::kGt:
      return order > 0;
    case Relation::kGe:
      return order >= 0;
    case Relation::kLt:
      return order < 0;
    case Relation::kLe:
      return order <= 0;
    case Relation::kEq:
      return order == 0;
    case Relation::kNe:
      return order != 0;
  }
  return false;
}

PreparedKey prepare_key(const Matching& matching, std::string_view key, std::int64_t max_regex_memory,
                        std::string& problem) {
  PreparedKey out;
  if (matching.type != Tag::kRegex) {
    out.folded = matching.type == Tag::kList ? std::string(key) : fold(matching.comparator, key);
    return out;
  }
  re2::RE2::Options options;
  options.set_posix_syntax(true);
  options.set_longest_match(true);
  options.set_log_errors(false);
  options.set_max_mem(max_regex_memory);
  options.set_case_sensitive(matching.comparator == Comparator::kOctet);
  options.set_dot_nl(true);
  if (!mime::is_valid_utf8(key)) options.set_encoding(re2::RE2::Options::EncodingLatin1);
  auto regex = std::make_shared<re2::RE2>(re2::StringPiece(key.data(), key.size()), options);
  if (!regex->ok())
    problem = "this regular expression is not understood: " + regex->error();
  else
    out.regex = std::move(regex);
  return out;
}

std::string_view prepare_value(const Matching& matching, std::string_view value, std::string& space) {
  if (matching.type != Tag::kContains || matching.comparator == Comparator::kOctet) return value;
  return space = fold(matching.comparator, value);
}

bool match(const Matching& matching, const PreparedKey& key, std::string_view value,
           std::vector<std::string>* captures) {
  switch (matching.type) {
    case Tag::kRegex:
      return match_regex(key, value, captures);
    case Tag::kMatches:
      return match_wildcards(matching, key, value, captures);
    case Tag::kContains:
      return memmem(value.data(), value.size(), key.folded.data(), key.folded.size()) != nullptr;
    case Tag::kValue:
      return holds(matching.relation, matching.comparator == Comparator::kAsciiNumeric
                                          ? compare_numbers(value, key.folded)
                                          : fold(matching.comparator, value).compare(key.folded));
    default:
      if (matching.comparator == Comparator::kAsciiNumeric) return compare_numbers(value, key.folded) == 0;
      if (matching.comparator == Comparator::kAsciiCasemap) return mime::iequals(value, key.folded);
      if (matching.comparator == Comparator::kOctet) return value == key.folded;
      return fold(matching.comparator, value) == key.folded;
  }
}

}  // namespace merpati::sieve
