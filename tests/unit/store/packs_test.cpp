#include "store/packs.hpp"

#include <gtest/gtest.h>

#include "store/packer.hpp"

namespace merpati::store {
namespace {

constexpr std::uint64_t kKiB = 1024;

TEST(PackReads, NeighboursShareARangeAndOthersDoNot) {
  const std::vector<PackPlace> places{
      {"b", 0, 10}, {"a", 300 * kKiB, 10}, {"a", 20, 30}, {"a", 0, 20}, {"a", 60 * kKiB, 5}};
  const auto reads = plan_pack_reads(places);
  ASSERT_EQ(reads.size(), 3u);
  EXPECT_EQ(reads[0].pack, "a");
  EXPECT_EQ(reads[0].offset, 0u);
  EXPECT_EQ(reads[0].length, 60 * kKiB + 5);
  EXPECT_EQ(reads[0].places, (std::vector<std::size_t>{3, 2, 4}));
  EXPECT_EQ(reads[1].offset, 300 * kKiB);
  EXPECT_EQ(reads[1].length, 10u);
  EXPECT_EQ(reads[2].pack, "b");
  EXPECT_TRUE(plan_pack_reads({}).empty());
}

TEST(PackReads, ARangeStaysSmallEnoughForMemory) {
  std::vector<PackPlace> places;
  for (std::uint64_t i = 0; i < 400; ++i) places.push_back({"a", i * 64 * kKiB, 64 * kKiB});
  std::uint64_t sum = 0;
  for (const auto& read : plan_pack_reads(places)) {
    EXPECT_LE(read.length, 4096 * kKiB);
    sum += read.length;
  }
  EXPECT_EQ(sum, 400 * 64 * kKiB);
}

ColdBody body(std::int64_t account, int minute, std::uint64_t length) {
  ColdBody out;
  out.account = account;
  out.blob_id = std::to_string(minute);
  out.stored_at = WallTime(std::chrono::minutes(minute));
  out.length = length;
  return out;
}

TEST(CutIntoPacks, MailOfOneAccountComesTogetherInItsOrder) {
  std::vector<ColdBody> bodies{body(2, 1, 40), body(1, 9, 40), body(1, 2, 40), body(2, 0, 40), body(1, 5, 40)};
  const auto packs = cut_into_packs(bodies, 100, WallTime(std::chrono::minutes(2)));
  ASSERT_EQ(packs.size(), 3u);
  EXPECT_EQ(packs[0][0].blob_id, "2");
  EXPECT_EQ(packs[0][1].blob_id, "5");
  EXPECT_EQ(packs[1][0].blob_id, "9");
  EXPECT_EQ(packs[1][1].account, 2);
  ASSERT_EQ(packs[2].size(), 1u);
  EXPECT_EQ(packs[2][0].blob_id, "1");
}

TEST(CutIntoPacks, AnUnfilledPackWaitsUnlessSomethingInItIsPressing) {
  std::vector<ColdBody> bodies{body(1, 5, 40), body(1, 6, 40)};
  EXPECT_TRUE(cut_into_packs(bodies, 100, WallTime(std::chrono::minutes(5))).empty());
  EXPECT_EQ(cut_into_packs(bodies, 100, WallTime(std::chrono::minutes(6))).size(), 1u);
  EXPECT_EQ(cut_into_packs(bodies, 80, WallTime(std::chrono::minutes(5))).size(), 1u);
  bodies[1].from = PackPlace{"old", 0, 40};
  EXPECT_EQ(cut_into_packs(bodies, 100, WallTime(std::chrono::minutes(5))).size(), 1u);
  std::vector<ColdBody> large{body(1, 5, 400)};
  EXPECT_EQ(cut_into_packs(large, 100, WallTime()).size(), 1u);
}

}  // namespace
}  // namespace merpati::store
