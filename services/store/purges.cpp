#include "store/purges.hpp"

#include "merpati/rpc/purges.hpp"
#include "store/operations.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;

Task<std::int64_t> load_position(Core& core) {
  static const pg::Statement kLoad{"store_feed_position", "select position from followed_events"};
  MERPATI_CO_TRY(const auto rows, co_await core.pool.query(kLoad, {}, Deadline::after(30s)));
  co_return rows.front().bigint(0);
}

Task<void> save_position(Core& core, std::int64_t position) {
  static const pg::Statement kSave{"store_save_feed_position",
                                   "update followed_events set position = $1 where position < $1"};
  pg::Params params;
  params.bigint(position);
  MERPATI_CO_CHECK(co_await core.pool.write(kSave, std::move(params), Deadline::after(30s)));
  co_return Result<void>();
}

Task<void> purge(Core& core, std::int64_t account) {
  const Caller caller{.deadline = Deadline::never(), .trace_id = "", .trace = ""};
  co_return co_await purge_account(core, caller, account);
}

}  // namespace

asio::awaitable<void> purge_for_ever(Core& core, std::shared_ptr<rpc::Channel> auth) {
  return rpc::follow_purges(std::move(auth), {"store", [&core] { return load_position(core); },
                                              [&core](std::int64_t position) { return save_position(core, position); },
                                              [&core](std::int64_t account) { return purge(core, account); }});
}

}  // namespace merpati::store
