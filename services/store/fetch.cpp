// FetchMessages and ReadMessages: rows of messages, only the columns that the mask needs.
#include <array>

#include "merpati/store/v1/summary.pb.h"
#include "store/body.hpp"
#include "store/content.hpp"
#include "store/flags.hpp"
#include "store/operations.hpp"

namespace merpati::store {
namespace {

constexpr int kPageRows = 500;                      // of one statement: its result stays below a megabyte
constexpr int kFlagRows = 4000;                     // the same, when only flags are asked for
constexpr std::size_t kMessageOctets = 256 * 1024;  // of one message of a stream
constexpr std::size_t kReplyOctets = 60 * 1024;
constexpr std::size_t kMostRanges = 200;  // of one statement

enum Group : unsigned { kEnvelope = 1, kStructure = 2, kDetail = 4, kPrefix = 8, kFlagsOnly = 16, kStatements = 17 };

unsigned groups_of(const v1::FetchMask& mask) {
  unsigned groups = 0;
  if (mask.envelope()) groups |= kEnvelope;
  if (mask.bodystructure()) groups |= kStructure;
  if (mask.body() || mask.parts() || mask.overview()) groups |= kDetail;
  if (mask.header()) groups |= kPrefix | kDetail;
  const bool basics = mask.received_at() || mask.size() || mask.uidl() || mask.ids() || mask.saved_at();
  return groups == 0 && !basics ? kFlagsOnly : groups;
}

enum Column {
  kUid,
  kFlags,
  kKeywords,
  kModseq,
  kReceived,
  kZone,
  kSize,
  kEmail,
  kThread,
  kSaved,
  kPrefixSize,
  kEnvelopeColumn,
  kStructureColumn,
  kDetailColumn,
  kPrefixColumn
};

int rows_of_a_page(const v1::FetchMask& mask) {
  if (mask.header()) return 50;
  return groups_of(mask) == kFlagsOnly ? kFlagRows : kPageRows;
}

/// One statement for each set of columns; $1 account, $2 mailbox, $3 and $4 range or ranges, $5 changed since, $6
/// limit.
const pg::Statement& statement(unsigned groups, bool one_range) {
  static const auto kAll = [] {
    std::array<std::array<pg::Statement, 2>, kStatements> all;
    for (unsigned g = 0; g < kStatements; ++g) {
      std::string columns = "m.uid, m.flags, m.keywords, m.modseq";
      if (g != kFlagsOnly) {
        columns +=
            ", m.received_at, m.zone, m.size, m.email_id, m.thread_id, m.saved_at, octet_length(m.header_prefix)";
        columns += g & kEnvelope ? ", m.envelope" : ", null";
        columns += g & kStructure ? ", m.structure" : ", null";
        columns += g & kDetail ? ", m.detail" : ", null";
        columns += g & kPrefix ? ", m.header_prefix" : ", null";
      }
      all[g][1] = {"store_fetch_" + std::to_string(g),
                   "select " + columns +
                       " from messages m where m.account_id = $1 and m.mailbox_id = $2 and m.uid between $3 and $4 "
                       "and m.modseq > $5 order by m.uid limit $6"};
      all[g][0] = {"store_fetch_ranges_" + std::to_string(g),
                   "select " + columns +
                       " from unnest($3::bigint[], $4::bigint[]) r (f, l), lateral (select * from messages x where "
                       "x.account_id = $1 and x.mailbox_id = $2 and x.uid between r.f and r.l and x.modseq > $5 "
                       "order by x.uid limit $6) m order by m.uid limit $6"};
    }
    return all;
  }();
  return kAll[groups][one_range ? 1 : 0];
}

void fill_detail(v1::MessageRow& out, const pg::Row& row, const v1::FetchMask& mask) {
  v1::MessageSummary detail;
  const auto octets = row.bytea(kDetailColumn);
  static_cast<void>(detail.ParseFromArray(octets.data(), static_cast<int>(octets.size())));
  if (mask.body()) out.set_body(std::move(*detail.mutable_body()));
  if (mask.parts() || mask.header()) out.set_header_bytes(detail.header_bytes());
  if (mask.parts() && detail.view_size() > 0)
    out.set_verbatim_size(detail.blob_bytes() + static_cast<std::uint64_t>(row.integer(kPrefixSize)));
  if (mask.parts()) out.mutable_root()->Swap(detail.mutable_root());
  if (mask.overview()) {
    out.set_subject(std::move(*detail.mutable_subject()));
    out.set_from(std::move(*detail.mutable_from()));
    out.set_date(detail.date());
    out.set_preview(std::move(*detail.mutable_preview()));
    out.set_has_attachment(detail.has_attachment());
  }
}

void fill(v1::MessageRow& out, const pg::Row& row, const v1::FetchMask& mask) {
  const auto milliseconds = [](WallTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  };
  out.set_uid(static_cast<std::uint32_t>(row.bigint(kUid)));
  if (mask.flags()) {
    out.set_flags(static_cast<std::uint32_t>(row.integer(kFlags)));
    if (!row.is_null(kKeywords))
      for (const auto word : row.texts(kKeywords)) out.add_keywords(word.data(), word.size());
    out.set_modseq(static_cast<std::uint64_t>(row.bigint(kModseq)));
  }
  if (mask.received_at()) {
    out.set_received_at_ms(milliseconds(row.timestamptz(kReceived)));
    out.set_received_zone_minutes(row.integer(kZone));
  }
  if (groups_of(mask) == kFlagsOnly) return;
  if (mask.size() || mask.uidl()) out.set_size(static_cast<std::uint64_t>(row.bigint(kSize)));
  if (mask.parts() || mask.header()) out.set_prefix_size(static_cast<std::uint32_t>(row.integer(kPrefixSize)));
  if (mask.ids()) {
    out.set_email_id(email_id_text(row.bigint(kEmail)));
    out.set_thread_id(thread_id_text(row.bigint(kThread)));
  }
  if (mask.saved_at()) out.set_saved_at_ms(milliseconds(row.timestamptz(kSaved)));
  const auto copy = [&](int column, auto set) {
    const auto octets = row.bytea(column);
    set(octets.data(), octets.size());
  };
  if (mask.envelope()) copy(kEnvelopeColumn, [&](const char* p, std::size_t n) { out.set_envelope(p, n); });
  if (mask.bodystructure()) copy(kStructureColumn, [&](const char* p, std::size_t n) { out.set_bodystructure(p, n); });
  if (!row.is_null(kDetailColumn)) fill_detail(out, row, mask);
  if (mask.header()) copy(kPrefixColumn, [&](const char* p, std::size_t n) { out.set_header(p, n); });
}

/// Reads pages of rows from a request's ranges, in uid order.
class Pages {
 public:
  Pages(Core& core, const Caller& caller, const v1::FetchMessagesRequest& request)
      : core_(core), caller_(caller), request_(request), ranges_(to_ranges(request.uids())) {
    if (ranges_.empty()) {
      ranges_.firsts.push_back(1);
      ranges_.lasts.push_back(0xffffffffLL);
    }
  }

  /// The next rows; none at the end.
  Task<pg::Rows> next(int rows) {
    while (at_ < ranges_.firsts.size()) {
      // Few ranges of one statement, each a range of the primary key.
      const auto count = std::min(kMostRanges, ranges_.firsts.size() - at_);
      std::vector<std::int64_t> firsts(ranges_.firsts.begin() + static_cast<std::ptrdiff_t>(at_),
                                       ranges_.firsts.begin() + static_cast<std::ptrdiff_t>(at_ + count));
      std::vector<std::int64_t> lasts(ranges_.lasts.begin() + static_cast<std::ptrdiff_t>(at_),
                                      ranges_.lasts.begin() + static_cast<std::ptrdiff_t>(at_ + count));
      pg::Params params;
      params.bigint(request_.account_id()).bigint(request_.mailbox_id());
      if (count == 1)
        params.bigint(firsts[0]).bigint(lasts[0]);
      else
        params.bigints(firsts).bigints(lasts);
      params.bigint(static_cast<std::int64_t>(request_.changed_since())).bigint(rows);
      MERPATI_CO_TRY(auto page, co_await core_.pool.query(statement(groups_of(request_.mask()), count == 1),
                                                          std::move(params), caller_.deadline));
      if (page.size() < static_cast<std::size_t>(rows)) {
        at_ += count;
      } else {
        skip_to(page[page.size() - 1].bigint(0) + 1);
      }
      if (!page.empty()) co_return page;
    }
    co_return pg::Rows();
  }

 private:
  void skip_to(std::int64_t uid) {
    while (at_ < ranges_.lasts.size() && ranges_.lasts[at_] < uid) ++at_;
    if (at_ < ranges_.firsts.size()) ranges_.firsts[at_] = std::max(ranges_.firsts[at_], uid);
  }

  Core& core_;
  const Caller& caller_;
  const v1::FetchMessagesRequest& request_;
  Ranges ranges_;
  std::size_t at_ = 0;
};

/// The header block of the blob behind each row's header_prefix.
Task<void> add_headers(Core& core, const Caller& caller, const v1::FetchMessagesRequest& request,
                       v1::FetchMessagesResponse& response) {
  std::vector<std::int64_t> uids;
  for (const auto& row : response.rows()) uids.push_back(row.uid());
  MERPATI_CO_TRY(auto sources,
                 co_await load_sources(core, request.account_id(), request.mailbox_id(), uids, caller.deadline));
  for (auto& row : *response.mutable_rows()) {
    const auto* source = sources.find(row.uid());
    if (!source) continue;
    MERPATI_CO_TRY(auto octets,
                   co_await read_octets(core, *source, 0, row.prefix_size() + row.header_bytes(), caller.deadline));
    row.set_header(std::move(octets));
  }
  co_return Result<void>();
}

}  // namespace

Task<void> fetch_messages(Core& core, const Caller& caller, const v1::FetchMessagesRequest& request,
                          rpc::Writer<v1::FetchMessagesResponse>& out) {
  Pages pages(core, caller, request);
  for (;;) {
    MERPATI_CO_TRY(auto rows, co_await pages.next(rows_of_a_page(request.mask())));
    if (rows.empty()) co_return Result<void>();
    v1::FetchMessagesResponse response;
    std::size_t octets = 0;
    for (const auto row : rows) {
      auto& message = *response.add_rows();
      fill(message, row, request.mask());
      octets += 64 + message.envelope().size() + message.bodystructure().size() + message.body().size() +
                message.header().size();
      if (octets < kMessageOctets || request.mask().header()) continue;
      MERPATI_CO_CHECK(co_await out.write(std::exchange(response, v1::FetchMessagesResponse())));
      octets = 0;
    }
    if (request.mask().header()) {
      MERPATI_CO_CHECK(co_await add_headers(core, caller, request, response));
    }
    if (response.rows_size() > 0) {
      MERPATI_CO_CHECK(co_await out.write(std::move(response)));
    }
  }
}

Task<v1::FetchMessagesResponse> read_messages(Core& core, const Caller& caller,
                                              const v1::FetchMessagesRequest& request) {
  Pages pages(core, caller, request);
  v1::FetchMessagesResponse response;
  std::size_t octets = 0;
  for (;;) {
    const int wanted = request.mask().header() ? 8 : (groups_of(request.mask()) & ~kFlagsOnly) != 0 ? 40 : 400;
    MERPATI_CO_TRY(auto rows, co_await pages.next(wanted));
    if (rows.empty()) co_return response;
    v1::FetchMessagesResponse page;
    for (const auto row : rows) fill(*page.add_rows(), row, request.mask());
    if (request.mask().header()) {
      MERPATI_CO_CHECK(co_await add_headers(core, caller, request, page));
    }
    for (auto& row : *page.mutable_rows()) {
      const auto size = row.ByteSizeLong();
      if (octets > 0 && octets + size > kReplyOctets) {
        response.set_next_uid(row.uid());
        co_return response;
      }
      octets += size;
      response.add_rows()->Swap(&row);
    }
  }
}

}  // namespace merpati::store
