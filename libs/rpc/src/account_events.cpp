#include "merpati/rpc/account_events.hpp"

#include "merpati/auth/v1/auth.pb.h"
#include "merpati/rpc/service.hpp"

namespace merpati::rpc {
namespace {

constexpr std::int64_t kRecentSeconds = 3600;
constexpr auto kFirstPause = std::chrono::milliseconds(50);
constexpr auto kLongestPause = std::chrono::milliseconds(1000);

const Method kWatchEvents{"/merpati.auth.v1.Auth/WatchEvents",        CallKind::kServerStream,      true, nullptr,
                          &new_message<auth::v1::WatchEventsRequest>, &new_message<auth::v1::Event>};

/// Until the stream ends; `position` is that of the last event.
asio::awaitable<void> follow_once(Channel& auth, const AccountEventHandlers& handlers, std::int64_t& position) {
  auth::v1::WatchEventsRequest request;
  request.set_after_position(position);
  if (position == 0) request.set_recent_seconds(kRecentSeconds);
  const CallOptions options;
  auto opened = co_await auth.open(kWatchEvents, &request, options);
  if (opened.has_error()) co_return;
  Reader<auth::v1::Event> reader(*std::move(opened));
  if (handlers.alive) handlers.alive(true);
  for (;;) {
    auto event = co_await reader.read();
    if (event.has_error() || !*event) break;
    position = std::max(position, (*event)->position());
    handlers.event(**event);
  }
  if (handlers.alive) handlers.alive(false);
}

}  // namespace

asio::awaitable<void> follow_account_events(std::shared_ptr<Channel> auth, AccountEventHandlers handlers) {
  co_await asio::this_coro::throw_if_cancelled(false);
  std::int64_t position = 0;
  auto pause = kFirstPause;
  for (;;) {
    const auto before = position;
    co_await follow_once(*auth, handlers, position);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    pause = position != before ? kFirstPause : std::min(pause * 2, kLongestPause);
    auto waited = co_await sleep_for(pause);
    if (waited.has_error()) co_return;
  }
}

AccountEventHandlers on_revocation(Revocations& revocations, std::function<void(std::int64_t)> ended) {
  AccountEventHandlers handlers;
  handlers.event = [&revocations, ended = std::move(ended)](const auth::v1::Event& event) {
    if (event.kind() == auth::v1::Event::KIND_DOMAIN_CHANGED) {
      revocations.set_domain(event.address(), event.domain_disabled());
      if (event.domain_disabled() && ended) ended(0);
    } else if (event.account_id() != 0 && event.credential_version() != 0) {
      revocations.revoke(event.account_id(), event.credential_version());
      if (ended) ended(event.account_id());
    }
  };
  return handlers;
}

}  // namespace merpati::rpc
