// Watch: one stream for each edge loop; accounts come and go on it.
#include "merpati/auth/v1/token.pb.h"
#include "store/operations.hpp"
#include "store/watchers.hpp"

namespace merpati::store {
namespace {

using namespace asio::experimental::awaitable_operators;

Task<void> verify(Core& core, const v1::WatchRequest& request) {
  if (!core.verifier) co_return Error(ErrorCode::kUnavailable, "no keys to verify tokens with");
  auto claims = core.verifier->verify(request.token());
  if (claims.has_error() && claims.error().code() == ErrorCode::kUnavailable) {
    MERPATI_CO_CHECK(co_await core.verifier->refresh());
    claims = core.verifier->verify(request.token());
  }
  if (claims.has_error()) co_return claims.error();
  if ((*claims)->account_id() != request.account_id())
    co_return Error(ErrorCode::kPermissionDenied, "a token of another account");
  co_return Result<void>();
}

Task<void> take_requests(Core& core, Subscription& subscription, rpc::Reader<v1::WatchRequest>& in) {
  for (;;) {
    MERPATI_CO_TRY(auto request, co_await in.read());
    if (!request) co_return Result<void>();
    if (request->stop()) {
      subscription.remove(request->account_id());
      continue;
    }
    auto allowed = co_await verify(core, *request);
    // One account's stale token must not end the stream of all the others: it just hears nothing.
    if (!allowed.has_error()) subscription.add(request->account_id(), request->serial());
  }
}

Task<void> send_events(Subscription& subscription, rpc::Writer<v1::WatchResponse>& out) {
  for (;;) {
    MERPATI_CO_TRY(auto batch, co_await subscription.next());
    if (batch.resync || batch.draining) {
      v1::WatchResponse response;
      response.set_resync(batch.resync);
      response.set_draining(batch.draining);
      MERPATI_CO_CHECK(co_await out.write(std::move(response)));
    }
    for (const auto& [account, serial] : batch.begun) {
      v1::WatchResponse response;
      response.set_account_id(account);
      response.set_begun(serial);
      MERPATI_CO_CHECK(co_await out.write(std::move(response)));
    }
    for (const auto& event : batch.events) {
      v1::WatchResponse response;
      response.set_account_id(event.account);
      response.set_mailbox_id(event.mailbox);
      response.set_highest_modseq(event.modseq);
      MERPATI_CO_CHECK(co_await out.write(std::move(response)));
    }
  }
}

}  // namespace

Task<void> watch(Core& core, rpc::Reader<v1::WatchRequest>& in, rpc::Writer<v1::WatchResponse>& out) {
  auto subscription = core.watchers->subscribe();
  // The first to end ends the other.
  auto ended = co_await (take_requests(core, *subscription, in) || send_events(*subscription, out));
  if (ended.index() == 0) co_return std::get<0>(std::move(ended));
  co_return std::get<1>(std::move(ended));
}

}  // namespace merpati::store
