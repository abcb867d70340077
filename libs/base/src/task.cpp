#include "merpati/base/task.hpp"

#include <boost/asio/post.hpp>

#include <cstdio>
#include <exception>
#include <list>
#include <mutex>

namespace merpati {

Task<void> sleep_for(std::chrono::nanoseconds wait) {
  asio::steady_timer timer(co_await asio::this_coro::executor,
                           std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait));
  auto [error] = co_await timer.async_wait(kAwait);
  if (error) co_return Error(ErrorCode::kCancelled, "cancelled while waiting");
  co_return Result<void>();
}

namespace {

/// Cancellation is told by results: what a cancelled coroutine still awaits, to clean up, must not throw.
asio::awaitable<void> without_throwing(asio::awaitable<void> body) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await std::move(body);
}

}  // namespace

struct TaskGroup::State {
  struct Entry {
    explicit Entry(asio::any_io_executor where) : executor(std::move(where)) {}
    asio::any_io_executor executor;
    asio::cancellation_signal signal;
  };
  explicit State(asio::any_io_executor where) : home(std::move(where)) {}
  asio::any_io_executor home;
  std::mutex mutex;
  std::list<std::shared_ptr<Entry>> entries;
};

TaskGroup::TaskGroup(asio::any_io_executor home) : state_(std::make_shared<State>(std::move(home))) {}
TaskGroup::~TaskGroup() = default;

void TaskGroup::spawn(asio::awaitable<void> body) { spawn(state_->home, std::move(body)); }

void TaskGroup::spawn(asio::any_io_executor executor, asio::awaitable<void> body) {
  auto entry = std::make_shared<State::Entry>(executor);
  std::list<std::shared_ptr<State::Entry>>::iterator at;
  {
    std::lock_guard lock(state_->mutex);
    at = state_->entries.insert(state_->entries.end(), entry);
  }
  auto ended = [state = state_, at](std::exception_ptr failure) {
    if (failure) {
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception& what) {
        std::fprintf(stderr, "a coroutine ended with an exception: %s\n", what.what());
      } catch (...) {
        std::fprintf(stderr, "a coroutine ended with an unknown exception\n");
      }
      std::terminate();
    }
    std::lock_guard lock(state->mutex);
    state->entries.erase(at);
  };
  asio::co_spawn(executor, without_throwing(std::move(body)),
                 asio::bind_cancellation_slot(entry->signal.slot(), std::move(ended)));
}

void TaskGroup::cancel() {
  std::lock_guard lock(state_->mutex);
  for (const auto& entry : state_->entries)
    asio::post(entry->executor, [entry] { entry->signal.emit(asio::cancellation_type::terminal); });
}

Task<void> TaskGroup::join(Deadline deadline) {
  const auto state = state_;
  for (auto pause = std::chrono::milliseconds(1);; pause = std::min(pause * 2, std::chrono::milliseconds(20))) {
    {
      std::lock_guard lock(state->mutex);
      if (state->entries.empty()) co_return Result<void>();
    }
    if (deadline.passed()) co_return Error(ErrorCode::kDeadlineExceeded, "coroutines still running");
    MERPATI_CO_CHECK(co_await sleep_for(pause));
  }
}

std::size_t TaskGroup::size() const {
  std::lock_guard lock(state_->mutex);
  return state_->entries.size();
}

}  // namespace merpati
