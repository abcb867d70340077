#include "auth/rpc/auth_service.hpp"

#include "auth/sasl.hpp"

namespace merpati::auth {

using namespace std::chrono_literals;

Task<void> AuthService::sasl(rpc::Context& context, rpc::Reader<v1::SaslRequest>& in,
                             rpc::Writer<v1::SaslResponse>& out) {
  SaslConversation conversation(logins_, in, out, context.deadline().within(60s));
  co_return co_await conversation.run();
}

Task<v1::LoginResponse> AuthService::login(rpc::Context& context, const v1::LoginRequest& request) {
  Logins::Attempt attempt{request.client(), request.service(), request.user(), ""};
  co_return co_await logins_.by_password(std::move(attempt), request.password(), context.deadline());
}

Task<v1::RenewTokenResponse> AuthService::renew_token(rpc::Context& context, const v1::RenewTokenRequest& request) {
  co_return co_await logins_.renew(request.token(), context.deadline());
}

Task<v1::ResolveRecipientResponse> AuthService::resolve_recipient(rpc::Context& context,
                                                                  const v1::ResolveRecipientRequest& request) {
  co_return co_await recipients_.resolve(request.address(), context.deadline());
}

Task<v1::CheckSenderResponse> AuthService::check_sender(rpc::Context& context, const v1::CheckSenderRequest& request) {
  MERPATI_CO_TRY(const bool allowed,
                 co_await recipients_.may_send_as(request.account_id(), request.address(), context.deadline()));
  v1::CheckSenderResponse response;
  response.set_allowed(allowed);
  co_return response;
}

Task<v1::ListPublicKeysResponse> AuthService::list_public_keys(rpc::Context&, const v1::ListPublicKeysRequest&) {
  v1::ListPublicKeysResponse response;
  for (auto& key : keys_.public_keys()) *response.add_keys() = std::move(key);
  co_return response;
}

Task<void> AuthService::watch_events(rpc::Context& context, const v1::WatchEventsRequest& request,
                                     rpc::Writer<v1::Event>& out) {
  EventFeed::Follower follower(feed_);
  auto position = request.after_position();
  if (position == 0) {
    const std::chrono::seconds before(std::clamp<std::int64_t>(request.recent_seconds(), 0, 24 * 3600));
    MERPATI_CO_TRY(position, co_await directory_.last_event(before, Deadline::after(10s)));
  }
  while (!feed_.draining()) {
    MERPATI_CO_TRY(const auto events, co_await directory_.events_after(position, Deadline::after(10s)));
    for (const auto& event : events) {
      v1::Event message;
      message.set_position(event.position);
      message.set_kind(static_cast<v1::Event::Kind>(event.kind));
      message.set_account_id(event.account_id);
      message.set_address(event.address);
      message.set_credential_version(event.credential_version);
      message.set_domain_disabled(event.domain_disabled);
      MERPATI_CO_CHECK(co_await out.write(std::move(message)));
      position = event.position;
    }
    if (!events.empty()) continue;
    MERPATI_CO_CHECK(co_await follower.wait(10s));
  }
  co_return Error(ErrorCode::kUnavailable, "this replica of auth is stopping");
}

}  // namespace merpati::auth
