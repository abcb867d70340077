// The key ring of services other than auth: it fetches auth's public keys.
#include <mutex>
#include <vector>

#include "merpati/auth/v1/auth.pb.h"
#include "merpati/base/wakeup.hpp"
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
  RemoteKeyRing(std::shared_ptr<Channel> auth, const Clock& clock)
      : KeyRing(clock), auth_(std::move(auth)), clock_(clock) {}

  // Whoever asks gets keys that were read after it asked; all who ask meanwhile share one call.
  Task<void> refresh() override {
    std::uint64_t enough = 0;
    for (;;) {
      std::uint64_t number = 0;
      std::shared_ptr<Wakeup> turn;
      {
        std::lock_guard lock(mutex_);
        if (enough == 0) enough = begun_ + 1;
        if (succeeded_ >= enough) co_return Result<void>();
        if (failed_ >= enough) co_return Error(ErrorCode::kUnavailable, failure_);
        if (asking_) {
          turn = std::make_shared<Wakeup>();
          waiting_.push_back(turn);
        } else if (!may_ask()) {
          co_return Error(ErrorCode::kUnavailable, "auth's public keys were asked for too often");
        } else {
          asking_ = true;
          number = ++begun_;
        }
      }
      if (turn) {
        MERPATI_CO_CHECK(co_await turn->wait());
      } else {
        Turn mine{*this};
        auto answered = co_await ask();
        mine.end(number, answered);
        if (answered.has_error() && answered.error().code() == ErrorCode::kCancelled)
          co_return std::move(answered).error();
      }
    }
  }

 private:
  Task<void> ask() {
    const auth::v1::ListPublicKeysRequest request;
    auth::v1::ListPublicKeysResponse response;
    CallOptions options;
    options.deadline = Deadline::after(std::chrono::seconds(5));
    MERPATI_CO_CHECK(co_await auth_->unary(kListPublicKeys, request, response, options));
    for (const auto& key : response.keys()) add(key.key_id(), key.ed25519_public(), key.not_after());
    co_return Result<void>();
  }

  // The right to ask. However the asking coroutine ends, also by an exception of a cancelled one, others go on.
  struct Turn {
    RemoteKeyRing& ring;
    bool over = false;
    ~Turn() {
      if (!over) ring.hand_on(nullptr, 0);
    }
    void end(std::uint64_t number, const Result<void>& answered) {
      over = true;
      ring.hand_on(&answered, number);
    }
  };
  void hand_on(const Result<void>* answered, std::uint64_t number) {
    std::vector<std::shared_ptr<Wakeup>> woken;
    {
      std::lock_guard lock(mutex_);
      asking_ = false;
      if (answered != nullptr && answered->has_value()) succeeded_ = number;
      if (answered != nullptr && answered->has_error() && answered->error().code() != ErrorCode::kCancelled) {
        failed_ = number;
        failure_ = "auth's public keys: " + answered->error().message();
      }
      woken.swap(waiting_);
    }
    for (const auto& each : woken) each->notify();
  }

  // Under mutex_. A flood of tokens with made-up key ids must not become a flood of calls: ten a second.
  bool may_ask() {
    const auto now = clock_.steady();
    if (now - window_ >= std::chrono::seconds(1)) {
      window_ = now;
      asked_ = 0;
    }
    return ++asked_ <= 10;
  }

  const std::shared_ptr<Channel> auth_;
  const Clock& clock_;
  std::mutex mutex_;
  bool asking_ = false;
  std::uint64_t begun_ = 0;
  std::uint64_t succeeded_ = 0;
  std::uint64_t failed_ = 0;
  std::string failure_;
  std::vector<std::shared_ptr<Wakeup>> waiting_;
  SteadyTime window_{};
  int asked_ = 0;
};

}  // namespace

std::shared_ptr<KeyRing> remote_key_ring(std::shared_ptr<Channel> auth, const Clock& clock) {
  return std::make_shared<RemoteKeyRing>(std::move(auth), clock);
}

}  // namespace merpati::rpc
