#include "merpati/base/wakeup.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <mutex>

namespace merpati {

namespace {

struct Waiter {
  virtual ~Waiter() = default;
  virtual void post(std::unique_ptr<Waiter> self, boost::system::error_code error) = 0;
};

template <class Handler>
struct WaiterOf final : Waiter {
  explicit WaiterOf(Handler h) : handler(std::move(h)), work(asio::make_work_guard(handler)) {}
  void post(std::unique_ptr<Waiter> self, boost::system::error_code error) override {
    auto executor = work.get_executor();
    asio::post(executor, [self = std::move(self), error]() mutable {
      auto& own = static_cast<WaiterOf&>(*self);
      if (auto slot = asio::get_associated_cancellation_slot(own.handler); slot.is_connected()) slot.clear();
      Handler resume = std::move(own.handler);
      self.reset();  // before the coroutine runs, since it may wait again
      std::move(resume)(error);
    });
  }
  Handler handler;
  asio::executor_work_guard<asio::associated_executor_t<Handler>> work;
};

}  // namespace

struct Wakeup::State {
  std::mutex mutex;
  bool pending = false;
  std::unique_ptr<Waiter> waiter;

  std::unique_ptr<Waiter> take() {
    std::lock_guard lock(mutex);
    return std::move(waiter);
  }
};

Wakeup::Wakeup() : state_(std::make_shared<State>()) {}

Wakeup::~Wakeup() {
  if (auto waiter = state_->take()) {
    auto* raw = waiter.get();
    raw->post(std::move(waiter), asio::error::operation_aborted);
  }
}

void Wakeup::notify() {
  std::unique_ptr<Waiter> waiter;
  {
    std::lock_guard lock(state_->mutex);
    waiter = std::move(state_->waiter);
    if (!waiter) state_->pending = true;
  }
  if (!waiter) return;
  auto* raw = waiter.get();
  raw->post(std::move(waiter), {});
}

Task<void> Wakeup::wait() {
  {
    std::lock_guard lock(state_->mutex);
    if (state_->pending) {
      state_->pending = false;
      co_return Result<void>();
    }
  }
  auto begin = [](auto handler, std::shared_ptr<State> state) {
    using Handler = std::decay_t<decltype(handler)>;
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
      slot.assign([weak = std::weak_ptr<State>(state)](asio::cancellation_type) {
        const auto held = weak.lock();
        if (!held) return;
        if (auto waiter = held->take()) {
          auto* raw = waiter.get();
          raw->post(std::move(waiter), asio::error::operation_aborted);
        }
      });
    }
    std::unique_ptr<Waiter> waiter = std::make_unique<WaiterOf<Handler>>(std::move(handler));
    {
      std::lock_guard lock(state->mutex);
      if (!state->pending) {
        state->waiter = std::move(waiter);
        return;
      }
      state->pending = false;
    }
    auto* raw = waiter.get();
    raw->post(std::move(waiter), {});
  };
  auto token = kAwait;
  auto state = state_;
  auto [error] = co_await asio::async_initiate<decltype(token), void(boost::system::error_code)>(begin, token, state);
  if (error) co_return Error(ErrorCode::kCancelled, "cancelled while waiting");
  co_return Result<void>();
}

}  // namespace merpati
