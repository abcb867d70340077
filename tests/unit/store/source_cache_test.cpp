#include "store/source_cache.hpp"

#include <gtest/gtest.h>

#include "store/content.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;

class ReadAlso : public testing::Test {
 protected:
  /// first and last; {1, 0} is nothing.
  std::pair<std::uint32_t, std::uint32_t> miss(std::uint32_t uid, std::int64_t mailbox = 7) {
    const auto uids = cache_.read_also({1, mailbox, uid}, now_);
    return {uids.first, uids.last};
  }
  static constexpr std::pair<std::uint32_t, std::uint32_t> kNothing{1, 0};

  SourceCache cache_{1 << 20};
  SteadyTime now_{};
};

TEST_F(ReadAlso, FollowsWhoReadsFromUidToUid) {
  EXPECT_EQ(miss(100), kNothing);
  EXPECT_EQ(miss(101), std::pair(101u, 116u));
  EXPECT_EQ(miss(105), kNothing) << "the call before has it under way";
  EXPECT_EQ(miss(117), std::pair(117u, 132u));
}

TEST_F(ReadAlso, LooksAroundForWhoReadsManyInNoOrder) {
  for (const std::uint32_t uid : {5000u, 300u, 9000u, 40u}) EXPECT_EQ(miss(uid), kNothing);
  EXPECT_EQ(miss(7777), std::pair(7776u, 7791u));
  EXPECT_EQ(miss(1200), std::pair(1200u, 1215u));
  now_ += 2s;
  EXPECT_EQ(miss(4000), kNothing) << "one now and then is read alone";
}

TEST_F(ReadAlso, TakesNoMailboxForAnother) {
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_EQ(miss(5000 - 100 * i, 1 + i % 2 * 2), kNothing);
}

TEST(SourceCache, ForgetsWhatWasReadLongestAgo) {
  SourceCache cache(16 * 4096);
  const auto source = std::make_shared<Source>();
  source->octets.assign(1000, 'x');
  for (std::uint32_t uid = 1; uid <= 500; ++uid) cache.add({1, 1, uid}, source);
  EXPECT_EQ(cache.find({1, 1, 1}), nullptr);
  EXPECT_NE(cache.find({1, 1, 500}), nullptr);
  EXPECT_EQ(cache.find({2, 1, 500}), nullptr);
}

}  // namespace
}  // namespace merpati::store
