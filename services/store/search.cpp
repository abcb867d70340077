// Search: rows decide what they can; only messages that are still open are read, a few at a time.
#include <algorithm>
#include <map>

#include "merpati/store/v1/summary.pb.h"
#include "store/content.hpp"
#include "store/flags.hpp"
#include "store/operations.hpp"
#include "store/search_program.hpp"

namespace merpati::store {
namespace {

constexpr std::size_t kMessagesAtOnce = 32;

std::int64_t seconds_of(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// A message whose octets decide.
struct Open {
  std::size_t row = 0;
  std::uint32_t uid = 0;
};

struct Hit {
  std::uint32_t uid = 0;
  std::uint64_t modseq = 0;
};

SearchRow row_of(const pg::Row& row, bool with_summary, v1::MessageSummary& summary) {
  SearchRow out;
  out.uid = static_cast<std::uint32_t>(row.bigint(0));
  out.flags = row.integer(1);
  if (!row.is_null(2)) out.keywords = row.texts(2);
  out.modseq = static_cast<std::uint64_t>(row.bigint(3));
  out.received_seconds = seconds_of(row.timestamptz(4));
  out.zone_minutes = row.integer(5);
  out.saved_seconds = seconds_of(row.timestamptz(6));
  out.size = static_cast<std::uint64_t>(row.bigint(7));
  out.email_id = row.bigint(8);
  out.thread_id = row.bigint(9);
  if (with_summary) {
    const std::string_view detail = row.bytea(10);
    summary.Clear();
    static_cast<void>(summary.ParseFromArray(detail.data(), static_cast<int>(detail.size())));
    out.summary = &summary;
  }
  return out;
}

/// What was read of one message: its header, and the ranges of its blob that hold text.
class ReadRanges final : public SearchText {
 public:
  std::string_view header() const override { return header_; }
  std::string_view range(std::uint64_t offset, std::uint64_t size) const override {
    const auto found = ranges_.find(offset);
    return found == ranges_.end() ? std::string_view() : std::string_view(found->second).substr(0, size);
  }
  std::string header_;
  std::map<std::uint64_t, std::string> ranges_;
};

/// All of a small message.
class WholeMessage final : public SearchText {
 public:
  WholeMessage(const Source& source, std::uint32_t header_bytes)
      : header_(source.prefix + source.octets.substr(0, header_bytes)), octets_(source.octets) {}
  std::string_view header() const override { return header_; }
  std::string_view range(std::uint64_t offset, std::uint64_t size) const override {
    if (offset > octets_.size()) return {};
    return octets_.substr(offset, size);
  }

 private:
  std::string header_;
  std::string_view octets_;
};

void wanted_ranges(const v1::Part& part, std::vector<std::pair<std::uint64_t, std::uint64_t>>& out) {
  const bool multipart = part.type().starts_with("multipart/");
  if (!multipart && part.parts_size() > 0) {
    const v1::Part& root = part.parts(0);
    out.emplace_back(root.header_offset(), root.body_offset() - root.header_offset());
  }
  if (!multipart && part.parts_size() == 0 && part.type().starts_with("text/"))
    out.emplace_back(part.body_offset(), part.body_size());
  for (const v1::Part& child : part.parts()) wanted_ranges(child, out);
}

Task<std::shared_ptr<ReadRanges>> read_large(Core& core, const Source& source, const v1::MessageSummary& summary,
                                             bool body, Deadline deadline) {
  auto out = std::make_shared<ReadRanges>();
  const std::uint64_t prefix = source.prefix.size();
  MERPATI_CO_TRY(out->header_, co_await read_octets(core, source, 0, prefix + summary.header_bytes(), deadline));
  if (!body) co_return out;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  wanted_ranges(summary.root(), ranges);
  for (const auto& [offset, size] : ranges) {
    if (size == 0) continue;
    MERPATI_CO_TRY(auto octets, co_await read_octets(core, source, prefix + offset, size, deadline));
    // Two ranges may start at one place, when a message inside has no header: the longer one holds the other.
    auto& slot = out->ranges_[offset];
    if (octets.size() > slot.size()) slot = std::move(octets);
  }
  co_return out;
}

}  // namespace

Task<v1::SearchResponse> search(Core& core, const Caller& caller, const v1::SearchRequest& request) {
  static const pg::Statement kPlain{
      "store_search",
      "select uid, flags, keywords, modseq, received_at, zone, saved_at, size, email_id, thread_id from messages "
      "where account_id = $1 and mailbox_id = $2 and uid between $3 and $4 order by uid"};
  static const pg::Statement kWithSummary{
      "store_search_summary",
      "select uid, flags, keywords, modseq, received_at, zone, saved_at, size, email_id, thread_id, detail from "
      "messages "
      "where account_id = $1 and mailbox_id = $2 and uid between $3 and $4 order by uid"};
  MERPATI_CO_TRY(const SearchProgram program, SearchProgram::make(request.key()));
  const bool with_summary = program.needs_summary();
  pg::Params params;
  params.bigint(request.account_id())
      .bigint(request.mailbox_id())
      .bigint(program.lowest_uid())
      .bigint(program.highest_uid());
  MERPATI_CO_TRY(const pg::Rows rows,
                 co_await core.pool.query(with_summary ? kWithSummary : kPlain, std::move(params), caller.deadline));

  const std::int64_t now = seconds_of(Clock::system().wall());
  std::vector<Hit> hits;
  std::vector<Open> open;
  auto first_pass = [&rows, &program, &hits, &open, with_summary, now] {
    v1::MessageSummary summary;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const SearchRow row = row_of(rows[i], with_summary, summary);
      switch (program.test(row, now, nullptr)) {
        case Truth::kYes:
          hits.push_back({row.uid, row.modseq});
          break;
        case Truth::kUnknown:
          open.push_back({i, row.uid});
          break;
        case Truth::kNo:
          break;
      }
    }
    return 0;
  };
  // A few rows are cheaper than a change of threads.
  if (rows.size() <= 200)
    first_pass();
  else
    co_await run_blocking(core.blocking, first_pass);

  for (std::size_t at = 0; at < open.size(); at += kMessagesAtOnce) {
    const std::size_t end = std::min(open.size(), at + kMessagesAtOnce);
    std::vector<std::int64_t> uids;
    for (std::size_t i = at; i < end; ++i) uids.push_back(open[i].uid);
    MERPATI_CO_TRY(const Sources sources,
                   co_await load_sources(core, request.account_id(), request.mailbox_id(), uids, caller.deadline));
    std::vector<std::shared_ptr<ReadRanges>> large(end - at);
    for (std::size_t i = at; i < end; ++i) {
      const Source* source = sources.find(open[i].uid);
      if (source && source->failed) co_return *source->failed;
      if (!source || !source->found || !source->is_object) continue;
      v1::MessageSummary summary;
      row_of(rows[open[i].row], true, summary);
      MERPATI_CO_TRY(large[i - at], co_await read_large(core, *source, summary, program.needs_body(), caller.deadline));
    }
    auto second_pass = [&rows, &program, &hits, &open, &sources, &large, at, end, now] {
      v1::MessageSummary summary;
      for (std::size_t i = at; i < end; ++i) {
        const Source* source = sources.find(open[i].uid);
        if (!source || !source->found) continue;  // expunged and collected meanwhile
        const SearchRow row = row_of(rows[open[i].row], true, summary);
        Truth answer = Truth::kNo;
        if (large[i - at])
          answer = program.test(row, now, large[i - at].get());
        else {
          const WholeMessage whole(*source, summary.header_bytes());
          answer = program.test(row, now, &whole);
        }
        if (answer == Truth::kYes) hits.push_back({row.uid, row.modseq});
      }
      return 0;
    };
    co_await run_blocking(core.blocking, second_pass);
  }

  std::sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) { return a.uid < b.uid; });
  v1::SearchResponse response;
  for (const Hit& hit : hits) {
    add_uid(*response.mutable_uids(), hit.uid);
    response.set_highest_modseq(std::max(response.highest_modseq(), hit.modseq));
  }
  co_return response;
}

}  // namespace merpati::store
