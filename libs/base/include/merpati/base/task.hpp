// Task<T>: a coroutine that yields a Result. Deadlines, the blocking pool's hop, and the group that joins coroutines.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "merpati/base/clock.hpp"
#include "merpati/base/result.hpp"

namespace merpati {

namespace asio = boost::asio;

template <class T>
using Task = asio::awaitable<Result<T>>;

/// The completion token of the house: no exceptions, a tuple that starts with the error_code.
inline constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

/// Runs `op` and cancels it at `deadline`: kDeadlineExceeded then, kCancelled when the caller itself was cancelled.
/// Any thread; `op` runs on the caller's executor.
template <class T>
Task<T> with_deadline(Task<T> op, Deadline deadline) {
  using namespace asio::experimental::awaitable_operators;
  if (deadline.is_never()) co_return co_await std::move(op);
  asio::steady_timer timer(co_await asio::this_coro::executor, deadline.at());
  co_await asio::this_coro::throw_if_cancelled(false);
  auto winner = co_await (std::move(op) || timer.async_wait(kAwait));
  if (winner.index() == 0) co_return std::get<0>(std::move(winner));
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) co_return Error(ErrorCode::kCancelled, "cancelled");
  co_return Error(ErrorCode::kDeadlineExceeded, "deadline passed");
}

/// Waits; kCancelled when the coroutine is cancelled meanwhile.
Task<void> sleep_for(std::chrono::nanoseconds wait);

/// Runs `call` on a pool of threads for blocking work and completes on the caller's executor. Not cancellable: what
/// blocks cannot be interrupted, and co_spawn() to another executor races with cancellation there (its signal may be
/// emitted after the coroutine has ended). Whoever cancels waits for the call's end.
template <class Call, class R = std::invoke_result_t<Call>>
asio::awaitable<R> run_blocking(asio::thread_pool& pool, Call call) {
  if constexpr (std::is_void_v<R>) {
    auto with_value = [call = std::move(call)]() mutable {
      call();
      return true;
    };
    co_await run_blocking(pool, std::move(with_value));
    co_return;
  } else {
    auto start = [](auto handler, asio::thread_pool* where, Call what) {
      auto work = asio::make_work_guard(handler);
      asio::post(*where, [handler = std::move(handler), work = std::move(work), what = std::move(what)]() mutable {
        std::exception_ptr failure;
        R result{};
        try {
          result = what();
        } catch (...) {
          failure = std::current_exception();
        }
        const auto home = work.get_executor();
        asio::post(home, [handler = std::move(handler), failure, result = std::move(result)]() mutable {
          std::move(handler)(failure, std::move(result));
        });
      });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, R)>(
        start, asio::use_awaitable, &pool, std::move(call));
  }
}

/// Coroutines that somebody waits for: spawns, counts, cancels and joins. Thread safe. The group must outlive
/// what it spawned: call join() (or wait until empty()) before it is destroyed.
class TaskGroup {
 public:
  explicit TaskGroup(asio::any_io_executor home);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Starts `body` on `executor` (the group's home by default). An exception that escapes ends the process: it is a
  /// bug.
  void spawn(asio::any_io_executor executor, asio::awaitable<void> body);
  void spawn(asio::awaitable<void> body);
  /// Asks every coroutine to end: each is cancelled on its own executor.
  void cancel();
  /// Returns when none is left, or with kDeadlineExceeded.
  Task<void> join(Deadline deadline);
  std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace merpati
