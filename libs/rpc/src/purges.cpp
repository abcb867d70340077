#include "merpati/rpc/purges.hpp"

#include "merpati/auth/v1/auth.pb.h"
#include "merpati/rpc/service.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::rpc {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kFirstLook = 24 * 3600;  // seconds; a service that is new has nothing to purge
constexpr std::int64_t kSaveEvery = 1000;       // events that concern nobody here
constexpr auto kFirstPause = 1s;
constexpr auto kLongestPause = 60s;

const Method kWatchEvents{"/merpati.auth.v1.Auth/WatchEvents",        CallKind::kServerStream,      true, nullptr,
                          &new_message<auth::v1::WatchEventsRequest>, &new_message<auth::v1::Event>};

/// Until the stream ends.
Task<void> follow_once(Channel& auth, const PurgeHandlers& handlers) {
  MERPATI_CO_TRY(auto saved, co_await handlers.load());
  auth::v1::WatchEventsRequest request;
  request.set_after_position(saved);
  if (saved == 0) request.set_recent_seconds(kFirstLook);
  const CallOptions options;
  MERPATI_CO_TRY(auto opened, co_await auth.open(kWatchEvents, &request, options));
  Reader<auth::v1::Event> events(std::move(opened));
  for (;;) {
    MERPATI_CO_TRY(const auto event, co_await events.read());
    if (!event) co_return Result<void>();
    const bool purge = event->kind() == auth::v1::Event::KIND_ACCOUNT_PURGED && event->account_id() > 0;
    if (purge) {
      MERPATI_CO_CHECK(co_await handlers.purge(event->account_id()));
      log::info("account_purged", "removed what a deleted account had",
                {{"service", handlers.service}, {"account", event->account_id()}});
    }
    if (!purge && event->position() < saved + kSaveEvery) continue;
    saved = event->position();
    MERPATI_CO_CHECK(co_await handlers.save(saved));
  }
}

}  // namespace

asio::awaitable<void> follow_purges(std::shared_ptr<Channel> auth, PurgeHandlers handlers) {
  std::chrono::seconds pause = kFirstPause;
  for (;;) {
    const auto began = std::chrono::steady_clock::now();
    const auto followed = co_await follow_once(*auth, handlers);
    if (followed.has_error() && followed.error().code() == ErrorCode::kCancelled) co_return;
    if (followed.has_error() && followed.error().code() != ErrorCode::kUnavailable)
      log::warning("purges_stopped", "tries again",
                   {{"service", handlers.service}, {"why", followed.error().describe()}});
    pause = std::chrono::steady_clock::now() - began > kLongestPause ? kFirstPause : std::min(pause * 2, kLongestPause);
    if ((co_await sleep_for(pause)).has_error()) co_return;
  }
}

}  // namespace merpati::rpc
