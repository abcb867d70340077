#include "filter/sent_counts.hpp"

namespace merpati::filter {
namespace {
constexpr std::int64_t kSlot = 600;  // seconds; the SQL adds up six

std::int64_t slot_of(WallTime now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() / kSlot;
}
}  // namespace

Task<Sent> StoredSentCounts::count(std::int64_t account, std::int64_t recipients, WallTime now, Deadline deadline) {
  static const pg::Statement kCount{"filter_count_sent", "select messages, recipients from count_sent($1, $2, $3)"};
  pg::Params params;
  params.bigint(account).bigint(slot_of(now)).bigint(recipients);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kCount, std::move(params), deadline));
  Sent sent;
  for (const auto row : rows) sent = {row.bigint(0), row.bigint(1)};
  co_return sent;
}

Task<std::int64_t> StoredSentCounts::forget(WallTime now, Deadline deadline) {
  static const pg::Statement kForget{
      "filter_forget_sent",
      "delete from sent where ctid = any (array(select ctid from sent where slot < $1 limit 1000))"};
  pg::Params params;
  params.bigint(slot_of(now) - 6);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kForget, std::move(params), deadline));
  co_return rows.affected();
}

}  // namespace merpati::filter
