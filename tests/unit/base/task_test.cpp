#include "merpati/base/task.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace merpati {
namespace {

using namespace std::chrono_literals;

template <class T>
Result<T> run(Task<T> task) {
  asio::io_context loop;
  auto result = asio::co_spawn(loop, std::move(task), asio::use_future);
  loop.run();
  return result.get();
}

Task<int> answer_after(std::chrono::nanoseconds wait) {
  MERPATI_CO_CHECK(co_await sleep_for(wait));
  co_return 7;
}

TEST(Task, DeadlineTellsItselfFromTheResult) {
  EXPECT_EQ(run(with_deadline(answer_after(1ms), Deadline::after(10s))).value(), 7);
  const auto late = run(with_deadline(answer_after(60s), Deadline::after(1ms)));
  ASSERT_TRUE(late.has_error());
  EXPECT_EQ(late.error().code(), ErrorCode::kDeadlineExceeded);
}

TEST(Task, GroupCancelsAndJoins) {
  asio::io_context loop;
  TaskGroup group(loop.get_executor());
  bool cancelled = false;
  auto body = [&]() -> asio::awaitable<void> {
    auto slept = co_await sleep_for(60s);
    cancelled = slept.has_error() && slept.error().code() == ErrorCode::kCancelled;
  };
  group.spawn(body());
  EXPECT_EQ(group.size(), 1U);
  auto stop = [&]() -> asio::awaitable<void> {
    co_await sleep_for(1ms);
    group.cancel();
    auto joined = co_await group.join(Deadline::after(10s));
    EXPECT_TRUE(joined.has_value());
  };
  auto done = asio::co_spawn(loop, stop(), asio::use_future);
  loop.run();
  done.get();
  EXPECT_TRUE(cancelled);
}

TEST(Task, BlockingWorkOutlivesItsCancelledCaller) {
  asio::io_context loop;
  asio::thread_pool pool(4);
  std::atomic<int> ended = 0;
  auto body = [&]() -> asio::awaitable<void> {
    auto blocked = with_deadline(
        [](asio::thread_pool& where) -> Task<int> {
          co_return co_await run_blocking(where, [text = std::string(100, 'x')]() -> Result<int> {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
            return static_cast<int>(text.size());
          });
        }(pool),
        Deadline::after(50us));
    static_cast<void>(co_await std::move(blocked));
    ++ended;
  };
  TaskGroup group(loop.get_executor());
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 10; ++i) group.spawn(body());
    loop.run_for(1ms);
    group.cancel();
    loop.restart();
    loop.run();
    loop.restart();
  }
  EXPECT_EQ(ended, 2000);
}

TEST(Task, ACancelledCoroutineMayStillAwaitItsCleanUp) {
  asio::io_context loop;
  TaskGroup group(loop.get_executor());
  bool cleaned = false;
  auto body = [&]() -> asio::awaitable<void> {
    co_await sleep_for(60s);
    co_await sleep_for(1ms);
    cleaned = true;
  };
  group.spawn(body());
  auto stop = [&]() -> asio::awaitable<void> {
    co_await sleep_for(1ms);
    group.cancel();
    auto joined = co_await group.join(Deadline::after(10s));
    EXPECT_TRUE(joined.has_value());
  };
  auto done = asio::co_spawn(loop, stop(), asio::use_future);
  loop.run();
  done.get();
  EXPECT_TRUE(cleaned);
}

}  // namespace
}  // namespace merpati
