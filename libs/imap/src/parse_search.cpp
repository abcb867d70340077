// SEARCH programs (RFC 9051 6.4.4), RETURN options (RFC 4731, 5182), MODSEQ (RFC 7162 3.1.5).
#include <algorithm>

#include "cursor.hpp"

namespace merpati::imap {
namespace {

using Kind = SearchKey::Kind;

// Bounds what the store has to evaluate: nesting, and nodes in all.
struct Budget {
  int depth = 0;
  int nodes = 0;
  bool uses_modseq = false;
};
constexpr int kMostDepth = 50;
constexpr int kMostNodes = 2000;

bool parse_key(Cursor& in, SearchKey& out, Budget& budget);

SearchKey flag_key(std::string flag) {
  SearchKey key;
  key.kind = Kind::kFlag;
  key.text = std::move(flag);
  return key;
}

SearchKey negated(SearchKey child) {
  SearchKey key;
  key.kind = Kind::kNot;
  key.children.push_back(std::move(child));
  return key;
}

// ALL, NEW, SEEN, UNSEEN ...: keys without arguments.
bool plain_key(Cursor& in, SearchKey& out) {
  constexpr std::pair<const char*, const char*> kFlags[] = {{"ANSWERED", "\\Answered"},
                                                            {"DELETED", "\\Deleted"},
                                                            {"DRAFT", "\\Draft"},
                                                            {"FLAGGED", "\\Flagged"},
                                                            {"SEEN", "\\Seen"}};
  for (const auto& [word, flag] : kFlags) {
    if (in.keyword(word)) return out = flag_key(flag), true;
    if (in.keyword(std::string("UN") + word)) return out = negated(flag_key(flag)), true;
  }
  SearchKey recent;
  recent.kind = Kind::kRecent;
  if (in.keyword("ALL")) return out.kind = Kind::kAll, true;
  if (in.keyword("RECENT")) return out = std::move(recent), true;
  if (in.keyword("OLD")) return out = negated(std::move(recent)), true;
  if (in.keyword("NEW")) {
    out.kind = Kind::kAnd;
    out.children.push_back(std::move(recent));
    out.children.push_back(negated(flag_key("\\Seen")));
    return true;
  }
  return false;
}

// Keys with a string, a date or a number. `matched` tells whether the word was one of them.
bool valued_key(Cursor& in, SearchKey& out, bool& matched) {
  constexpr std::pair<const char*, const char*> kHeaders[] = {
      {"BCC", "Bcc"}, {"CC", "Cc"}, {"FROM", "From"}, {"SUBJECT", "Subject"}, {"TO", "To"}};
  constexpr std::pair<const char*, Kind> kTexts[] = {{"BODY", Kind::kBody}, {"TEXT", Kind::kText}};
  constexpr std::pair<const char*, Kind> kDates[] = {{"BEFORE", Kind::kBefore}, {"ON", Kind::kOn},
                                                     {"SINCE", Kind::kSince},   {"SENTBEFORE", Kind::kSentBefore},
                                                     {"SENTON", Kind::kSentOn}, {"SENTSINCE", Kind::kSentSince}};
  constexpr std::pair<const char*, Kind> kNumbers[] = {{"LARGER", Kind::kLarger}, {"SMALLER", Kind::kSmaller}};
  matched = true;
  for (const auto& [word, header] : kHeaders) {
    if (!in.keyword(word)) continue;
    out.kind = Kind::kHeader;
    out.name = header;
    return in.space() && in.astring(out.text);
  }
  for (const auto& [word, kind] : kTexts) {
    if (!in.keyword(word)) continue;
    out.kind = kind;
    return in.space() && in.astring(out.text);
  }
  for (const auto& [word, kind] : kDates) {
    if (!in.keyword(word)) continue;
    out.kind = kind;
    return in.space() && in.date(out.number);
  }
  for (const auto& [word, kind] : kNumbers) {
    if (!in.keyword(word)) continue;
    out.kind = kind;
    return in.space() && in.number(out.number, 0x7fffffffffffffffULL);
  }
  if (in.keyword("HEADER")) {
    out.kind = Kind::kHeader;
    return in.space() && in.astring(out.name) && in.space() && in.astring(out.text);
  }
  if (in.keyword("KEYWORD")) {
    out.kind = Kind::kFlag;
    return in.space() && in.flag(out.text);
  }
  if (in.keyword("UNKEYWORD")) {
    SearchKey key = flag_key("");
    if (!in.space() || !in.flag(key.text)) return false;
    out = negated(std::move(key));
    return true;
  }
  if (in.keyword("UID")) {
    out.kind = Kind::kUid;
    return in.space() && in.sequence_set(out.set);
  }
  matched = false;
  return false;
}

// MODSEQ [entry-name entry-type] number
bool modseq_key(Cursor& in, SearchKey& out) {
  out.kind = Kind::kModSeq;
  if (!in.space()) return false;
  if (in.peek() == '"') {
    // RFC 7162 3.1.5: we keep one mod-sequence for a message, so the entry does not change the answer.
    std::string entry;
    std::string type;
    if (!in.string(entry) || !in.space() || !in.atom(type) || !in.space()) return false;
  }
  return in.number(out.number, 0x7fffffffffffffffULL);
}

bool parse_keys(Cursor& in, SearchKey& out, Budget& budget) {
  out.kind = Kind::kAnd;
  do {
    SearchKey key;
    if (!parse_key(in, key, budget)) return false;
    out.children.push_back(std::move(key));
  } while (in.maybe(' '));
  return true;
}

bool nested_key(Cursor& in, SearchKey& out, Budget& budget, bool& matched) {
  matched = true;
  if (in.maybe('(')) return parse_keys(in, out, budget) && in.expect(')', "Expected ) in the search");
  if (in.keyword("NOT")) {
    out.kind = Kind::kNot;
    out.children.emplace_back();
    return in.space() && parse_key(in, out.children.back(), budget);
  }
  if (in.keyword("OR")) {
    out.kind = Kind::kOr;
    SearchKey left;
    SearchKey right;
    if (!in.space() || !parse_key(in, left, budget) || !in.space() || !parse_key(in, right, budget)) return false;
    out.children.push_back(std::move(left));
    out.children.push_back(std::move(right));
    return true;
  }
  matched = false;
  return false;
}

bool parse_key_inside(Cursor& in, SearchKey& out, Budget& budget) {
  const char next = in.peek();
  if ((next >= '0' && next <= '9') || next == '*' || next == '$') {
    out.kind = Kind::kSequence;
    return in.sequence_set(out.set);
  }
  bool matched = false;
  if (nested_key(in, out, budget, matched) || matched) return in.reason() == nullptr;
  if (plain_key(in, out)) return true;
  if (valued_key(in, out, matched) || matched) return in.reason() == nullptr;
  if (in.keyword("MODSEQ")) return budget.uses_modseq = true, modseq_key(in, out);
  return in.fail("Unknown search key");
}

bool parse_key(Cursor& in, SearchKey& out, Budget& budget) {
  if (++budget.nodes > kMostNodes) return in.fail("The search has too many keys");
  if (++budget.depth > kMostDepth) return in.fail("The search is nested too deeply");
  const bool good = parse_key_inside(in, out, budget);
  --budget.depth;
  return good;
}

bool parse_return(Cursor& in, SearchArguments& out) {
  out.has_return = true;
  if (!in.space() || !in.expect('(', "Expected ( after RETURN")) return false;
  if (in.maybe(')')) return out.return_all = true;  // RFC 4731 3.1: an empty list means ALL
  do {
    if (in.keyword("MIN")) {
      out.return_min = true;
    } else if (in.keyword("MAX")) {
      out.return_max = true;
    } else if (in.keyword("ALL")) {
      out.return_all = true;
    } else if (in.keyword("COUNT")) {
      out.return_count = true;
    } else if (in.keyword("SAVE")) {
      out.return_save = true;
    } else {
      return in.fail("Unknown SEARCH return option");
    }
  } while (in.maybe(' '));
  return in.expect(')', "Expected ) after the return options");
}

}  // namespace

bool parse_search(Cursor& in, SearchArguments& out) {
  if (in.keyword("RETURN") && (!parse_return(in, out) || !in.space())) return false;
  if (in.keyword("CHARSET")) {
    std::string charset;
    if (!in.space() || !in.astring(charset) || !in.space()) return false;
    out.charset = to_upper(charset);
  }
  Budget budget;
  const bool good = parse_keys(in, out.key, budget);
  out.uses_modseq = budget.uses_modseq;
  return good;
}

}  // namespace merpati::imap
