#include "store/flags.hpp"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <utility>

#include "merpati/store/v1/store.pb.h"

namespace merpati::store {
namespace {

bool is_atom(std::string_view text) {
  if (text.empty() || text.size() > kMaxKeywordOctets) return false;
  for (const unsigned char c : text)
    if (c <= 0x20 || c >= 0x7f || std::string_view("(){%*\"\\]").find(static_cast<char>(c)) != std::string_view::npos)
      return false;
  return true;
}

struct Named {
  const char* name;
  int bit;
};
constexpr Named kSystem[] = {{"\\Seen", kSeen},       {"\\Answered", kAnswered}, {"\\Flagged", kFlagged},
                             {"\\Deleted", kDeleted}, {"\\Draft", kDraft},       {"\\Recent", 0}};

Result<void> add_keyword(std::string& joined, std::size_t& count, const std::string& keyword) {
  if (!is_atom(keyword)) return Error(ErrorCode::kInvalidArgument, "not a keyword").with_public("invalid keyword");
  if (++count > kMaxKeywords)
    return Error(ErrorCode::kResourceExhausted, "too many keywords").with_public("too many keywords");
  if (!joined.empty()) joined += ' ';
  joined += keyword;
  return {};
}

}  // namespace

Result<FlagSet> parse_flags(const google::protobuf::RepeatedPtrField<std::string>& names) {
  FlagSet set;
  std::size_t count = 0;
  for (const auto& name : names) {
    bool system = false;
    for (const auto& known : kSystem) {
      if (::strcasecmp(known.name, name.c_str()) != 0) continue;
      set.bits |= known.bit;
      system = true;
    }
    if (!system) MERPATI_CHECK(add_keyword(set.keywords, count, name));
  }
  return set;
}

Result<std::string> join_keywords(const google::protobuf::RepeatedPtrField<std::string>& keywords) {
  std::string joined;
  std::size_t count = 0;
  for (const auto& keyword : keywords) MERPATI_CHECK(add_keyword(joined, count, keyword));
  return joined;
}

Ranges to_ranges(const google::protobuf::RepeatedPtrField<v1::UidRange>& ranges) {
  Ranges out;
  out.firsts.reserve(static_cast<std::size_t>(ranges.size()));
  out.lasts.reserve(static_cast<std::size_t>(ranges.size()));
  std::vector<std::pair<std::uint32_t, std::uint32_t>> sorted;
  sorted.reserve(static_cast<std::size_t>(ranges.size()));
  for (const auto& range : ranges)
    if (range.first() <= range.last()) sorted.emplace_back(range.first(), range.last());
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [first, last] : sorted) {  // a message named twice is one message
    if (!out.lasts.empty() && first <= out.lasts.back() + 1) {
      out.lasts.back() = std::max<std::int64_t>(out.lasts.back(), last);
      continue;
    }
    out.firsts.push_back(first);
    out.lasts.push_back(last);
  }
  return out;
}

void add_uid(google::protobuf::RepeatedPtrField<v1::UidRange>& ranges, std::uint32_t uid) {
  if (!ranges.empty() && ranges.rbegin()->last() + 1 == uid) {
    ranges.rbegin()->set_last(uid);
    return;
  }
  auto* range = ranges.Add();
  range->set_first(uid);
  range->set_last(uid);
}

std::string email_id_text(std::int64_t id) { return fmt::format("E{:016x}", static_cast<std::uint64_t>(id)); }
std::string thread_id_text(std::int64_t id) { return fmt::format("T{:016x}", static_cast<std::uint64_t>(id)); }
std::string mailbox_id_text(std::int64_t account, std::int64_t id) { return fmt::format("F{:x}-{:x}", account, id); }

}  // namespace merpati::store
