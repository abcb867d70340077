// LIST with the extensions of RFC 5258, 5819 and 6154; STATUS items.
#include "cursor.hpp"

namespace merpati::imap {
namespace {

bool parse_selection(Cursor& in, ListArguments& out) {
  out.extended = true;
  if (in.maybe(')')) return true;
  do {
    if (in.keyword("SUBSCRIBED")) {
      out.select_subscribed = true;
    } else if (in.keyword("REMOTE")) {
      out.select_remote = true;
    } else if (in.keyword("RECURSIVEMATCH")) {
      out.select_recursive_match = true;
    } else if (in.keyword("SPECIAL-USE")) {
      out.select_special_use = true;
    } else {
      return in.fail("Unknown LIST selection option");
    }
  } while (in.maybe(' '));
  // RFC 5258 3.1: RECURSIVEMATCH needs an option that it can be applied to.
  if (out.select_recursive_match && !out.select_subscribed && !out.select_special_use)
    return in.fail("RECURSIVEMATCH stands alone");
  return in.expect(')', "Expected ) after the selection options");
}

bool parse_return_options(Cursor& in, ListArguments& out) {
  out.extended = true;
  if (!in.keyword_or_fail("RETURN", "Expected RETURN") || !in.space() || !in.expect('(', "Expected ( after RETURN"))
    return false;
  if (in.maybe(')')) return true;
  do {
    if (in.keyword("SUBSCRIBED")) {
      out.return_subscribed = true;
    } else if (in.keyword("CHILDREN")) {
      out.return_children = true;
    } else if (in.keyword("SPECIAL-USE")) {
      out.return_special_use = true;
    } else if (in.keyword("STATUS")) {
      if (!in.space() || !parse_status_items(in, out.return_status)) return false;
    } else {
      return in.fail("Unknown LIST return option");
    }
  } while (in.maybe(' '));
  return in.expect(')', "Expected ) after the return options");
}

bool parse_patterns(Cursor& in, ListArguments& out) {
  const bool many = in.maybe('(');
  do {
    std::string pattern;
    if (!in.list_mailbox(pattern)) return false;
    out.patterns.push_back(std::move(pattern));
    if (out.patterns.size() > 100) return in.fail("Too many patterns");
  } while (many && in.maybe(' '));
  if (many) out.extended = true;
  return !many || in.expect(')', "Expected ) after the patterns");
}

}  // namespace

bool parse_list(Cursor& in, ListArguments& out) {
  if (in.maybe('(') && (!parse_selection(in, out) || !in.space())) return false;
  if (!in.astring(out.reference) || !in.space() || !parse_patterns(in, out)) return false;
  return !in.maybe(' ') || parse_return_options(in, out);
}

bool parse_status_items(Cursor& in, std::vector<StatusItem>& out) {
  constexpr std::pair<const char*, StatusItem> kItems[] = {
      {"MESSAGES", StatusItem::kMessages}, {"RECENT", StatusItem::kRecent},
      {"UIDNEXT", StatusItem::kUidNext},   {"UIDVALIDITY", StatusItem::kUidValidity},
      {"UNSEEN", StatusItem::kUnseen},     {"DELETED", StatusItem::kDeleted},
      {"SIZE", StatusItem::kSize},         {"HIGHESTMODSEQ", StatusItem::kHighestModSeq}};
  if (!in.expect('(', "Expected ( before the STATUS items")) return false;
  do {
    bool known = false;
    for (const auto& [word, item] : kItems) {
      if (!in.keyword(word)) continue;
      out.push_back(item);
      known = true;
      break;
    }
    if (!known) return in.fail("Unknown STATUS item");
    if (out.size() > 50) return in.fail("Too many STATUS items");
  } while (in.maybe(' '));
  return in.expect(')', "Expected ) after the STATUS items");
}

std::string_view to_string(StatusItem item) {
  constexpr std::string_view kNames[] = {"MESSAGES", "RECENT",  "UIDNEXT", "UIDVALIDITY",
                                         "UNSEEN",   "DELETED", "SIZE",    "HIGHESTMODSEQ"};
  return kNames[static_cast<std::size_t>(item)];
}

}  // namespace merpati::imap
