#include "filter/dmarc_store.hpp"

#include <algorithm>

namespace merpati::filter {
namespace {
constexpr std::int32_t kForgetTogether = 100;  // each takes its records along

double seconds(std::chrono::seconds duration) { return static_cast<double>(duration.count()); }
}  // namespace

Task<std::int64_t> StoredDmarc::count(const std::vector<DmarcCount>& counts, Deadline deadline) {
  static const pg::Statement kCount{"filter_count_dmarc", "select count_dmarc($1, $2, $3, $4, $5, $6, $7, $8)"};
  std::vector<std::int32_t> days;
  std::vector<std::string_view> domains, requests, records;
  std::vector<std::int64_t> messages;
  for (const auto& one : counts) {
    days.push_back(one.day);
    domains.push_back(one.domain);
    requests.push_back(one.request);
    records.push_back(one.record);
    messages.push_back(one.messages);
  }
  pg::Params params;
  params.integers(days).texts(domains).texts(requests).texts(records).bigints(messages);
  params.integer(limits_.domains).integer(limits_.records).float8(seconds(limits_.spread));
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kCount, std::move(params), deadline));
  co_return rows.front().bigint(0);
}

Task<std::optional<DuePeriod>> StoredDmarc::claim(std::chrono::seconds lease, Deadline deadline) {
  static const pg::Statement kClaim{"filter_claim_dmarc",
                                    "select id, domain, extract(epoch from begins)::bigint, extract(epoch from "
                                    "ends)::bigint, request, left_out, told,"
                                    " attempts from claim_dmarc($1)"};
  pg::Params params;
  params.float8(seconds(lease));
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kClaim, std::move(params), deadline));
  if (rows.empty()) co_return std::optional<DuePeriod>();
  const auto row = rows.front();
  DuePeriod out;
  out.id = row.bigint(0);
  out.domain = row.text(1);
  out.begins = row.bigint(2);
  out.ends = row.bigint(3);
  out.request = row.text(4);
  out.left_out = row.bigint(5);
  for (const auto address : row.texts(6)) out.told.emplace_back(address);
  out.attempts = row.integer(7);
  co_return std::optional(std::move(out));
}

Task<std::vector<mailauth::DmarcReportRecord>> StoredDmarc::records(std::int64_t period, Deadline deadline) {
  static const pg::Statement kRecords{
      "filter_dmarc_records",
      "select record, messages from dmarc_records where period_id = $1 order by messages desc, key"};
  pg::Params params;
  params.bigint(period);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kRecords, std::move(params), deadline));
  std::vector<mailauth::DmarcReportRecord> out;
  out.reserve(rows.size());
  for (const auto row : rows) {
    MERPATI_CO_TRY(auto record, record_from(row.text(0)));
    record.count = static_cast<std::uint64_t>(row.bigint(1));
    out.push_back(std::move(record));
  }
  co_return out;
}

Task<void> StoredDmarc::tell(std::int64_t period, std::string address, Deadline deadline) {
  static const pg::Statement kTell{"filter_tell_dmarc",
                                   "update dmarc_periods set told = array_append(told, $2) where id = $1"};
  pg::Params params;
  params.bigint(period).text(address);
  MERPATI_CO_CHECK(co_await pool_.write(kTell, std::move(params), deadline));
  co_return Result<void>();
}

Task<void> StoredDmarc::finish(std::int64_t period, Deadline deadline) {
  static const pg::Statement kFinish{"filter_finish_dmarc", "select finish_dmarc($1)"};
  pg::Params params;
  params.bigint(period);
  MERPATI_CO_CHECK(co_await pool_.write(kFinish, std::move(params), deadline));
  co_return Result<void>();
}

Task<void> StoredDmarc::postpone(std::int64_t period, std::chrono::seconds wait, std::string why, Deadline deadline) {
  static const pg::Statement kPostpone{"filter_postpone_dmarc",
                                       "update dmarc_periods set due_at = now() + make_interval(secs => $2), "
                                       "last_error = $3 where id = $1 and state = 1"};
  pg::Params params;
  params.bigint(period).float8(seconds(wait)).text(why);
  MERPATI_CO_CHECK(co_await pool_.write(kPostpone, std::move(params), deadline));
  co_return Result<void>();
}

Task<std::int64_t> StoredDmarc::close(std::string domain, Deadline deadline) {
  static const pg::Statement kClose{"filter_close_dmarc", "select close_dmarc($1)"};
  pg::Params params;
  params.text(domain);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kClose, std::move(params), deadline));
  co_return rows.front().bigint(0);
}

Task<std::vector<DmarcPeriodView>> StoredDmarc::list(std::int64_t after, std::string domain, bool sent,
                                                     std::int32_t most, Deadline deadline) {
  static const pg::Statement kList{
      "filter_list_dmarc",
      "select id, domain, request, last_error, state, extract(epoch from ends)::bigint, extract(epoch from "
      "due_at)::bigint,"
      " records, messages, left_out, attempts from dmarc_periods"
      " where id > $1 and ($2 = '' or domain = $2) and (state < 2 or $3) order by id limit $4"};
  pg::Params params;
  params.bigint(after).text(domain).boolean(sent).bigint(most);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kList, std::move(params), deadline));
  std::vector<DmarcPeriodView> out;
  for (const auto row : rows) {
    out.push_back({row.bigint(0), std::string(row.text(1)), std::string(row.text(2)), std::string(row.text(3)),
                   row.integer(4), row.bigint(5), row.bigint(6), row.bigint(7), row.bigint(8), row.bigint(9),
                   row.bigint(10)});
  }
  co_return out;
}

Task<StoredDmarc::Forgotten> StoredDmarc::forget(Deadline deadline) {
  static const pg::Statement kForget{"filter_forget_dmarc", "select gone, unsent from forget_dmarc($1, $2)"};
  pg::Params params;
  params.float8(seconds(limits_.keep)).integer(kForgetTogether);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kForget, std::move(params), deadline));
  co_return Forgotten{rows.front().bigint(0), rows.front().bigint(1)};
}

}  // namespace merpati::filter
