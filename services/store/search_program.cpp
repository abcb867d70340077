#include "store/search_program.hpp"

#include <algorithm>

#include "merpati/mime/header.hpp"
#include "merpati/mime/search_text.hpp"
#include "merpati/store/v1/store.pb.h"
#include "merpati/store/v1/summary.pb.h"
#include "store/flags.hpp"

namespace merpati::store {

struct SearchProgram::Node {
  v1::SearchKey::KeyCase kind = v1::SearchKey::kAll;
  std::vector<std::unique_ptr<Node>> children;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> uids;
  std::int64_t number = 0;
  std::string text;
  mime::Needle needle{""};
};

namespace {
using Node = SearchProgram::Node;
using Key = v1::SearchKey;

constexpr int kMaxDepth = 100;
constexpr int kMaxNodes = 2000;
constexpr std::size_t kMaxSubject = 990;  // a longer one may have been cut in the summary

Truth truth(bool value) { return value ? Truth::kYes : Truth::kNo; }
std::int64_t day_of(std::int64_t seconds) { return seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0); }

Result<std::unique_ptr<Node>> compile(const Key& key, int depth, int& nodes) {
  if (depth > kMaxDepth || ++nodes > kMaxNodes)
    return Error(ErrorCode::kInvalidArgument, "the search program is too large");
  auto node = std::make_unique<Node>();
  node->kind = key.key_case();
  const auto add = [&](const Key& child) -> Result<void> {
    MERPATI_TRY(auto made, compile(child, depth + 1, nodes));
    node->children.push_back(std::move(made));
    return {};
  };
  switch (key.key_case()) {
    case Key::kAll:
      break;
    case Key::kAnd:
      for (const Key& child : key.and_().keys()) MERPATI_CHECK(add(child));
      break;
    case Key::kOr:
      for (const Key& child : key.or_().keys()) MERPATI_CHECK(add(child));
      break;
    case Key::kNot:
      MERPATI_CHECK(add(key.not_()));
      break;
    case Key::kUids:
      for (const auto& range : key.uids().ranges()) node->uids.emplace_back(range.first(), range.last());
      std::sort(node->uids.begin(), node->uids.end());
      break;
    case Key::kFlagsSet:
      node->number = key.flags_set();
      break;
    case Key::kFlagsUnset:
      node->number = key.flags_unset();
      break;
    case Key::kKeyword:
      node->text = key.keyword();
      break;
    case Key::kUnkeyword:
      node->text = key.unkeyword();
      break;
    case Key::kHeader:
      node->text = key.header().name();
      node->needle = mime::Needle(key.header().value());
      break;
    case Key::kBody:
      node->needle = mime::Needle(key.body());
      break;
    case Key::kText:
      node->needle = mime::Needle(key.text());
      break;
    case Key::kReceivedBeforeDay:
      node->number = key.received_before_day();
      break;
    case Key::kReceivedOnDay:
      node->number = key.received_on_day();
      break;
    case Key::kReceivedSinceDay:
      node->number = key.received_since_day();
      break;
    case Key::kSentBeforeDay:
      node->number = key.sent_before_day();
      break;
    case Key::kSentOnDay:
      node->number = key.sent_on_day();
      break;
    case Key::kSentSinceDay:
      node->number = key.sent_since_day();
      break;
    case Key::kLarger:
      node->number = static_cast<std::int64_t>(key.larger());
      break;
    case Key::kSmaller:
      node->number = static_cast<std::int64_t>(key.smaller());
      break;
    case Key::kModseqAtLeast:
      node->number = static_cast<std::int64_t>(key.modseq_at_least());
      break;
    case Key::kYoungerSeconds:
      node->number = key.younger_seconds();
      break;
    case Key::kOlderSeconds:
      node->number = key.older_seconds();
      break;
    case Key::kRecentFromUid:
      node->number = key.recent_from_uid();
      break;
    case Key::kEmailId:
      node->text = key.email_id();
      break;
    case Key::kThreadId:
      node->text = key.thread_id();
      break;
    case Key::kSavedBeforeDay:
      node->number = key.saved_before_day();
      break;
    case Key::kSavedOnDay:
      node->number = key.saved_on_day();
      break;
    case Key::kSavedSinceDay:
      node->number = key.saved_since_day();
      break;
    default:
      return Error(ErrorCode::kInvalidArgument, "a search key that this version does not know");
  }
  // What is cheap is asked first.
  std::stable_sort(node->children.begin(), node->children.end(), [](const auto& a, const auto& b) {
    const auto cost = [](const Node& n) {
      return n.kind == Key::kText || n.kind == Key::kBody ? 2 : n.kind == Key::kHeader ? 1 : 0;
    };
    return cost(*a) < cost(*b);
  });
  return node;
}

template <class Wanted>
bool any_node(const Node& node, Wanted wanted) {
  if (wanted(node)) return true;
  return std::any_of(node.children.begin(), node.children.end(),
                     [&](const auto& child) { return any_node(*child, wanted); });
}

bool in_ranges(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& ranges, std::uint32_t uid) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), uid,
                                [](std::uint32_t u, const auto& range) { return u < range.first; });
  return after != ranges.begin() && std::prev(after)->second >= uid;
}

bool has_keyword(const SearchRow& row, std::string_view keyword) {
  return std::any_of(row.keywords.begin(), row.keywords.end(),
                     [&](std::string_view k) { return mime::iequals(k, keyword); });
}

Truth test_header(const Node& node, const SearchRow& row, const SearchText* text) {
  if (row.summary && mime::iequals(node.text, "subject") && !row.summary->subject().empty() &&
      row.summary->subject().size() < kMaxSubject) {
    return truth(node.needle.in_text(row.summary->subject()));
  }
  if (!text) return Truth::kUnknown;
  return truth(node.needle.in_header(text->header(), node.text));
}

bool in_parts(const mime::Needle& needle, const v1::Part& part, const SearchText& text) {
  if (part.type().starts_with("multipart/")) {
    return std::any_of(part.parts().begin(), part.parts().end(),
                       [&](const v1::Part& child) { return in_parts(needle, child, text); });
  }
  if (part.parts_size() > 0) {  // a message inside
    const v1::Part& root = part.parts(0);
    return needle.in_header_block(text.range(root.header_offset(), root.body_offset() - root.header_offset())) ||
           in_parts(needle, root, text);
  }
  if (!part.type().starts_with("text/")) return false;
  mime::Part described;
  described.encoding = part.encoding();
  if (!part.charset().empty()) described.parameters.push_back({"charset", part.charset()});
  mime::TextSearch search(needle, described);
  constexpr std::size_t kPiece = 64 * 1024;
  std::string_view rest = text.range(part.body_offset(), part.body_size());
  for (;;) {
    const std::string_view piece = rest.substr(0, kPiece);
    rest.remove_prefix(piece.size());
    if (search.feed(piece, rest.empty())) return true;
    if (rest.empty()) return false;
  }
}

Truth test_content(const Node& node, const SearchRow& row, const SearchText* text) {
  if (node.needle.empty()) return Truth::kYes;
  if (!text || !row.summary) return Truth::kUnknown;
  if (node.kind == Key::kText && node.needle.in_header_block(text->header())) return Truth::kYes;
  return truth(in_parts(node.needle, row.summary->root(), *text));
}

Truth test_node(const Node& node, const SearchRow& row, std::int64_t now, const SearchText* text) {
  const std::int64_t received_day = day_of(row.received_seconds + row.zone_minutes * 60);
  const auto sent_day = [&]() -> std::int64_t {
    return day_of(row.summary->date() + row.summary->date_zone_minutes() * 60);
  };
  const bool has_date = row.summary && row.summary->date() != 0;
  switch (node.kind) {
    case Key::kAll:
      return Truth::kYes;
    case Key::kAnd: {
      Truth out = Truth::kYes;
      for (const auto& child : node.children) {
        const Truth t = test_node(*child, row, now, text);
        if (t == Truth::kNo) return Truth::kNo;
        if (t == Truth::kUnknown) out = Truth::kUnknown;
      }
      return out;
    }
    case Key::kOr: {
      Truth out = Truth::kNo;
      for (const auto& child : node.children) {
        const Truth t = test_node(*child, row, now, text);
        if (t == Truth::kYes) return Truth::kYes;
        if (t == Truth::kUnknown) out = Truth::kUnknown;
      }
      return out;
    }
    case Key::kNot: {
      const Truth t = test_node(*node.children.front(), row, now, text);
      return t == Truth::kUnknown ? t : truth(t == Truth::kNo);
    }
    case Key::kUids:
      return truth(in_ranges(node.uids, row.uid));
    case Key::kFlagsSet:
      return truth((row.flags & node.number) == node.number);
    case Key::kFlagsUnset:
      return truth((row.flags & node.number) == 0);
    case Key::kKeyword:
      return truth(has_keyword(row, node.text));
    case Key::kUnkeyword:
      return truth(!has_keyword(row, node.text));
    case Key::kHeader:
      return test_header(node, row, text);
    case Key::kBody:
    case Key::kText:
      return test_content(node, row, text);
    case Key::kReceivedBeforeDay:
      return truth(received_day < node.number);
    case Key::kReceivedOnDay:
      return truth(received_day == node.number);
    case Key::kReceivedSinceDay:
      return truth(received_day >= node.number);
    // What has no date that can be read was sent on no day.
    case Key::kSentBeforeDay:
      return truth(has_date && sent_day() < node.number);
    case Key::kSentOnDay:
      return truth(has_date && sent_day() == node.number);
    case Key::kSentSinceDay:
      return truth(has_date && sent_day() >= node.number);
    case Key::kLarger:
      return truth(row.size > static_cast<std::uint64_t>(node.number));
    case Key::kSmaller:
      return truth(row.size < static_cast<std::uint64_t>(node.number));
    case Key::kModseqAtLeast:
      return truth(row.modseq >= static_cast<std::uint64_t>(node.number));
    case Key::kYoungerSeconds:
      return truth(now - row.received_seconds <= node.number);
    case Key::kOlderSeconds:
      return truth(now - row.received_seconds >= node.number);
    case Key::kRecentFromUid:
      return truth(row.uid >= node.number);
    case Key::kEmailId:
      return truth(email_id_text(row.email_id) == node.text);
    case Key::kThreadId:
      return truth(thread_id_text(row.thread_id) == node.text);
    case Key::kSavedBeforeDay:
      return truth(day_of(row.saved_seconds) < node.number);
    case Key::kSavedOnDay:
      return truth(day_of(row.saved_seconds) == node.number);
    case Key::kSavedSinceDay:
      return truth(day_of(row.saved_seconds) >= node.number);
    default:
      return Truth::kNo;
  }
}

// The uid bounds that hold for every match of this node.
void narrow(const Node& node, std::uint32_t& low, std::uint32_t& high) {
  if (node.kind == Key::kUids) {
    if (node.uids.empty()) {
      low = 1;
      high = 0;
      return;
    }
    low = std::max(low, node.uids.front().first);
    std::uint32_t last = 0;
    for (const auto& range : node.uids) last = std::max(last, range.second);
    high = std::min(high, last);
  } else if (node.kind == Key::kRecentFromUid) {
    low = std::max(low, static_cast<std::uint32_t>(node.number));
  } else if (node.kind == Key::kAnd) {
    for (const auto& child : node.children) narrow(*child, low, high);
  }
}
}  // namespace

SearchProgram::SearchProgram(std::unique_ptr<Node> root) : root_(std::move(root)) {}
SearchProgram::SearchProgram(SearchProgram&&) noexcept = default;
SearchProgram::~SearchProgram() = default;

Result<SearchProgram> SearchProgram::make(const v1::SearchKey& key) {
  int nodes = 0;
  MERPATI_TRY(auto root, compile(key, 0, nodes));
  return SearchProgram(std::move(root));
}

bool SearchProgram::needs_summary() const {
  return any_node(*root_, [](const Node& node) {
    switch (node.kind) {
      case Key::kHeader:
      case Key::kBody:
      case Key::kText:
      case Key::kSentBeforeDay:
      case Key::kSentOnDay:
      case Key::kSentSinceDay:
        return true;
      default:
        return false;
    }
  });
}

bool SearchProgram::needs_body() const {
  return any_node(*root_, [](const Node& node) { return node.kind == Key::kBody || node.kind == Key::kText; });
}

std::uint32_t SearchProgram::lowest_uid() const {
  std::uint32_t low = 0, high = 0xFFFFFFFFu;
  narrow(*root_, low, high);
  return low;
}

std::uint32_t SearchProgram::highest_uid() const {
  std::uint32_t low = 0, high = 0xFFFFFFFFu;
  narrow(*root_, low, high);
  return high;
}

Truth SearchProgram::test(const SearchRow& row, std::int64_t now, const SearchText* text) const {
  return test_node(*root_, row, now, text);
}

}  // namespace merpati::store
