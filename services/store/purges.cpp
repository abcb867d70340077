#include "store/purges.hpp"

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/runtime/log.hpp"
#include "store/operations.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kFirstLook = 24 * 3600;  // seconds; a store that is new has nothing to purge
constexpr std::int64_t kSaveEvery = 1000;       // events that concern nobody here
constexpr auto kFirstPause = 1s;
constexpr auto kLongestPause = 60s;

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

/// Until the stream ends.
Task<void> follow_once(Core& core, auth::v1::AuthClient& auth) {
  MERPATI_CO_TRY(auto saved, co_await load_position(core));
  auth::v1::WatchEventsRequest request;
  request.set_after_position(saved);
  if (saved == 0) request.set_recent_seconds(kFirstLook);
  MERPATI_CO_TRY(auto events, co_await auth.watch_events(request));
  for (;;) {
    MERPATI_CO_TRY(const auto event, co_await events->read());
    if (!event) co_return Result<void>();
    const bool purge = event->kind() == auth::v1::Event::KIND_ACCOUNT_PURGED && event->account_id() > 0;
    if (purge) {
      const Caller caller{Deadline::never(), "", 0, 0};
      MERPATI_CO_CHECK(co_await purge_account(core, caller, event->account_id()));
      log::info("store_account_purged", "removed what a deleted account had", {{"account", event->account_id()}});
    }
    if (!purge && event->position() < saved + kSaveEvery) continue;
    saved = event->position();
    MERPATI_CO_CHECK(co_await save_position(core, saved));
  }
}

}  // namespace

asio::awaitable<void> purge_for_ever(Core& core, std::shared_ptr<rpc::Channel> auth) {
  auth::v1::AuthClient client(std::move(auth));
  std::chrono::seconds pause = kFirstPause;
  for (;;) {
    const auto began = std::chrono::steady_clock::now();
    const auto followed = co_await follow_once(core, client);
    if (followed.has_error() && followed.error().code() == ErrorCode::kCancelled) co_return;
    if (followed.has_error() && followed.error().code() != ErrorCode::kUnavailable)
      log::warning("store_purges_stopped", "tries again", {{"why", followed.error().describe()}});
    pause = std::chrono::steady_clock::now() - began > kLongestPause ? kFirstPause : std::min(pause * 2, kLongestPause);
    if ((co_await sleep_for(pause)).has_error()) co_return;
  }
}

}  // namespace merpati::store
