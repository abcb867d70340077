#include "filter/purges.hpp"

#include "merpati/rpc/purges.hpp"

namespace merpati::filter {
namespace {

using namespace std::chrono_literals;

Task<std::int64_t> load_position(pg::Pool& pool) {
  static const pg::Statement kLoad{"filter_feed_position", "select position from followed_events"};
  MERPATI_CO_TRY(const auto rows, co_await pool.query(kLoad, {}, Deadline::after(30s)));
  co_return rows.front().bigint(0);
}

Task<void> save_position(pg::Pool& pool, std::int64_t position) {
  static const pg::Statement kSave{"filter_save_feed_position",
                                   "update followed_events set position = $1 where position < $1"};
  pg::Params params;
  params.bigint(position);
  MERPATI_CO_CHECK(co_await pool.write(kSave, std::move(params), Deadline::after(30s)));
  co_return Result<void>();
}

}  // namespace

asio::awaitable<void> purge_for_ever(pg::Pool& pool, std::function<Task<void>(std::int64_t account)> purge,
                                     std::shared_ptr<rpc::Channel> auth) {
  return rpc::follow_purges(
      std::move(auth), {"filter", [&pool] { return load_position(pool); },
                        [&pool](std::int64_t position) { return save_position(pool, position); }, std::move(purge)});
}

}  // namespace merpati::filter
