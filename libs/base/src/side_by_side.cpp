#include "merpati/base/side_by_side.hpp"

#include <cstdio>
#include <list>

namespace merpati {
namespace {
asio::awaitable<void> without_throwing(asio::awaitable<void> body) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await std::move(body);
}

[[noreturn]] void end_process(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& what) {
    std::fprintf(stderr, "a coroutine ended with an exception: %s\n", what.what());
  } catch (...) {
    std::fprintf(stderr, "a coroutine ended with an unknown exception\n");
  }
  std::terminate();
}
}  // namespace

Task<void> run_side_by_side(std::vector<asio::awaitable<void>> bodies) {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::this_coro::throw_if_cancelled(false);
  asio::steady_timer all_ended(executor, SteadyTime::max());
  std::list<asio::cancellation_signal> signals;
  std::size_t left = bodies.size();
  for (auto& body : bodies) {
    auto ended = [&left, &all_ended](const std::exception_ptr& failure) {
      if (failure) end_process(failure);
      if (--left == 0) all_ended.cancel();
    };
    asio::co_spawn(executor, without_throwing(std::move(body)),
                   asio::bind_cancellation_slot(signals.emplace_back().slot(), std::move(ended)));
  }
  if (left > 0) (void)co_await all_ended.async_wait(kAwait);
  if (left == 0) co_return Result<void>();
  // The caller has gone. What runs may use what is the caller's: it ends first.
  for (auto& signal : signals) signal.emit(asio::cancellation_type::terminal);
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (left > 0) (void)co_await all_ended.async_wait(kAwait);
  co_return Error(ErrorCode::kCancelled, "cancelled while others were waited for");
}

}  // namespace merpati
