// The key ring of services other than auth: it fetches auth's public keys.
#include <mutex>

#include "merpati/auth/v1/auth.pb.h"
#include "merpati/rpc/service.hpp"
#include "merpati/rpc/token.hpp"

namespace merpati::rpc {

namespace {

const Method kListPublicKeys{"/merpati.auth.v1.Auth/ListPublicKeys",
                             CallKind::kUnary,
                             true,
                             nullptr,
                             &new_message<auth::v1::ListPublicKeysRequest>,
                             &new_message<auth::v1::ListPublicKeysResponse>};

class RemoteKeyRing final : public KeyRing {
 public:
  RemoteKeyRing(std::shared_ptr<Channel> auth, const Clock& clock) : KeyRing(clock), auth_(std::move(auth)), clock_(clock) {}

  Task<void> refresh() override {
    if (!may_ask()) co_return Result<void>();
    const auth::v1::ListPublicKeysRequest request;
    auth::v1::ListPublicKeysResponse response;
    CallOptions options;
    options.deadline = Deadline::after(std::chrono::seconds(5));
    auto answered = co_await auth_->unary(kListPublicKeys, request, response, options);
    if (answered.has_error()) co_return Error(ErrorCode::kUnavailable, "auth's public keys: " + answered.error().message());
    for (const auto& key : response.keys()) add(key.key_id(), key.ed25519_public(), key.not_after());
    co_return Result<void>();
  }

 private:
  // A flood of tokens with made-up key ids must not become a flood of calls: ten at once, then ten a second.
  bool may_ask() {
    const auto now = clock_.steady();
    std::lock_guard lock(mutex_);
    if (now - window_ >= std::chrono::seconds(1)) {
      window_ = now;
      asked_ = 0;
    }
    return ++asked_ <= 10;
  }

  std::shared_ptr<Channel> auth_;
  const Clock& clock_;
  std::mutex mutex_;
  SteadyTime window_{};
  int asked_ = 0;
};

}  // namespace

std::shared_ptr<KeyRing> remote_key_ring(std::shared_ptr<Channel> auth, const Clock& clock) {
  return std::make_shared<RemoteKeyRing>(std::move(auth), clock);
}

}  // namespace merpati::rpc
