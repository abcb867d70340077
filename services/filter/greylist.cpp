#include "filter/greylist.hpp"

#include "merpati/base/ids.hpp"

namespace merpati::filter {
namespace {
double seconds(std::chrono::milliseconds duration) { return std::chrono::duration<double>(duration).count(); }
}  // namespace

Task<Greylisted> StoredGreylist::ask(const Attempt& attempt, const GreylistTimes& times, Deadline deadline) {
  static const pg::Statement kAsk{"filter_greylist", "select state, seconds from greylist($1, $2, $3, $4, $5, $6, $7)"};
  pg::Params params;
  if (is_uuid(attempt.delivery_id)) {
    params.uuid(attempt.delivery_id);
  } else {
    params.uuid(std::nullopt);
  }
  params.bytea(attempt.client).bytea(attempt.domain).byteas(attempt.triplets);
  params.float8(seconds(times.delay)).float8(seconds(times.retry_window)).float8(seconds(times.keep));
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kAsk, std::move(params), deadline));
  Greylisted out;
  out.state = static_cast<Greylisted::State>(rows.front().integer(0));
  out.seconds = rows.front().float8(1);
  co_return out;
}

Task<std::int64_t> StoredGreylist::forget(Deadline deadline) {
  static const pg::Statement kForget{"filter_forget_greylist", "select forget_greylist(1000)"};
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kForget, {}, deadline));
  co_return rows.front().bigint(0);
}

}  // namespace merpati::filter
