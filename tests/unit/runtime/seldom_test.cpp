#include "merpati/runtime/seldom.hpp"

#include <gtest/gtest.h>

namespace merpati::log {
namespace {

TEST(Seldom, OneLineAndThenACountOfThoseThatWereLeftOut) {
  Seldom hourly{std::chrono::hours(1)};
  EXPECT_EQ(hourly.due(), 0U);
  EXPECT_FALSE(hourly.due());
  EXPECT_FALSE(hourly.due());
}

TEST(Seldom, TheNextOneSaysHowManyWereLeftOut) {
  Seldom often{std::chrono::milliseconds(20)};
  EXPECT_EQ(often.due(), 0U);
  std::uint64_t left_out = 0;
  for (std::optional<std::uint64_t> next; !next; ++left_out) {
    next = often.due();
    if (next) EXPECT_EQ(*next, left_out);
  }
}

}  // namespace
}  // namespace merpati::log
