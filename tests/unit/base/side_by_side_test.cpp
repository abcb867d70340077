#include "merpati/base/side_by_side.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace merpati {
namespace {
using namespace std::chrono_literals;

Result<void> run(Task<void> task) {
  asio::io_context loop;
  auto result = asio::co_spawn(loop, std::move(task), asio::use_future);
  loop.run();
  return result.get();
}

// Each waits for the other: one after the other would never end.
TEST(SideBySide, AllRunAndAllEnd) {
  int here = 0;
  const auto meets = [&]() -> asio::awaitable<void> {
    ++here;
    while (here < 3) (void)co_await sleep_for(1ms);
  };
  std::vector<asio::awaitable<void>> bodies;
  for (int i = 0; i < 3; ++i) bodies.push_back(meets());
  EXPECT_TRUE(run(run_side_by_side(std::move(bodies))).has_value());
  EXPECT_EQ(here, 3);
  EXPECT_TRUE(run(run_side_by_side({})).has_value());
}

TEST(SideBySide, ACallerThatGoesTakesThemAlong) {
  int ended = 0;
  const auto sleeps = [&]() -> asio::awaitable<void> {
    const auto slept = co_await sleep_for(1h);
    ended += slept.has_error();
  };
  std::vector<asio::awaitable<void>> bodies;
  for (int i = 0; i < 3; ++i) bodies.push_back(sleeps());
  const auto result = run(with_deadline(run_side_by_side(std::move(bodies)), Deadline::after(1ms)));
  EXPECT_TRUE(result.has_error());
  EXPECT_EQ(ended, 3);
}

}  // namespace
}  // namespace merpati
