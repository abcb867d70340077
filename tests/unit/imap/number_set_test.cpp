#include "merpati/imap/number_set.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace merpati::imap {
namespace {

TEST(NumberSet, StarIsTheLargestInEitherOrder) {
  SequenceSet set;
  set.add({559, 0});
  EXPECT_EQ(format_ranges(set.resolve(558)), "558:559");
  EXPECT_EQ(format_ranges(set.resolve(600)), "559:600");
  EXPECT_TRUE(set.resolve(0).empty());
}

TEST(NumberSet, ParseSortsAndMerges) {
  EXPECT_EQ(format_ranges(*parse_ranges("7,3:1,4,9:8")), "1:4,7:9");
  EXPECT_EQ(format_ranges(*parse_ranges("4294967295,4294967294")), "4294967294:4294967295");
  EXPECT_FALSE(parse_ranges("0"));
  EXPECT_FALSE(parse_ranges("1,"));
}

TEST(NumberSet, TakesFromTheFront) {
  Ranges ranges{{1, 5}, {8, 9}};
  EXPECT_EQ(format_ranges(take_front(ranges, 3)), "1:3");
  EXPECT_EQ(format_ranges(take_front(ranges, 3)), "4:5,8");
  EXPECT_EQ(format_ranges(take_front(ranges, 3)), "9");
  EXPECT_TRUE(ranges.empty());
}

// Against a plain std::set, so that every off-by-one of the range arithmetic shows.
TEST(NumberSet, UidSetAgreesWithAPlainSet) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::set<std::uint32_t> plain;
    std::set<std::uint32_t> other;
    for (int i = 0; i < 40; ++i) plain.insert(1 + random() % 80), other.insert(1 + random() % 80);
    Ranges ranges;
    Ranges others;
    for (const auto uid : plain) push_back(ranges, uid);
    for (const auto uid : other) push_back(others, uid);
    const UidSet set(ranges);
    ASSERT_EQ(set.size(), plain.size());
    std::uint32_t sequence = 0;
    for (const auto uid : plain) {
      EXPECT_EQ(set.uid_at(++sequence), uid);
      EXPECT_EQ(set.sequence_of(uid), sequence);
    }
    for (std::uint32_t uid = 1; uid < 90; ++uid) {
      EXPECT_EQ(set.contains(uid), plain.count(uid) == 1);
      EXPECT_EQ(set.count_below(uid), std::distance(plain.begin(), plain.lower_bound(uid)));
      EXPECT_EQ(contains(intersect(ranges, others), uid), plain.count(uid) && other.count(uid));
      EXPECT_EQ(contains(subtract(ranges, others), uid), plain.count(uid) && !other.count(uid));
    }
    const auto picked = set.select_sequences(others);
    for (std::uint32_t s = 1; s <= set.size(); ++s) EXPECT_EQ(contains(picked, set.uid_at(s)), other.count(s) == 1);
    EXPECT_EQ(set.select_sequences(set.to_sequences(others)), set.select_uids(others));
  }
}

}  // namespace
}  // namespace merpati::imap
