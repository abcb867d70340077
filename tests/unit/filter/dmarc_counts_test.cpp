#include "filter/dmarc_counts.hpp"

#include <gtest/gtest.h>

#include "support/loop.hpp"

namespace merpati::filter {
namespace {

using namespace std::chrono_literals;

class FakeMemory : public DmarcMemory {
 public:
  Task<std::int64_t> count(const std::vector<DmarcCount>& counts, Deadline) override {
    std::lock_guard lock(mutex);
    ++statements;
    if (fail) co_return *fail;
    std::int64_t messages = 0;
    for (const auto& one : counts) {
      sums[std::to_string(one.day) + " " + one.domain] += one.messages;
      requests[one.domain] = one.request;
      messages += one.messages;
    }
    co_return left_out ? messages : 0;
  }
  std::map<std::string, std::int64_t> all() {
    std::lock_guard lock(mutex);
    return sums;
  }
  std::mutex mutex;
  std::map<std::string, std::int64_t> sums;
  std::map<std::string, std::string> requests;
  std::optional<Error> fail;
  bool left_out = false;
  int statements = 0;
};

DmarcObservation seen(const std::string& domain, const std::string& ip = "192.0.2.1", const std::string& p = "none") {
  DmarcObservation out;
  out.domain = domain;
  out.request.policy.domain = domain;
  out.request.policy.p = p;
  out.record.source_ip = ip;
  out.record.disposition = "none";
  out.record.dkim = out.record.spf = "fail";
  return out;
}
const WallTime kDay = WallTime(std::chrono::days(20'000));

class DmarcCountsTest : public ::testing::Test {
 protected:
  double metric(const std::string& result) {
    const std::string text = metrics_.text();
    const auto at = text.find("merpati_filter_dmarc_messages_total{result=\"" + result + "\"} ");
    return at == std::string::npos ? -1 : std::stod(text.substr(text.find("} ", at) + 2));
  }
  runtime::Metrics metrics_;
  FakeMemory memory_;
  test::Loop loop_;
};

TEST_F(DmarcCountsTest, WhatIsAlikeIsAddedUpByDayInUtc) {
  DmarcCounts counts(memory_, metrics_);
  for (int i = 0; i < 3; ++i) counts.add(seen("a.test"), kDay + 1h);
  counts.add(seen("a.test", "192.0.2.2", "reject"), kDay + 24h - 1s);
  counts.add(seen("a.test"), kDay + 24h);
  counts.add(seen("b.test"), kDay);
  ASSERT_TRUE(loop_.run(counts.flush()).has_value());
  EXPECT_EQ(memory_.statements, 1);
  EXPECT_EQ(memory_.all(),
            (std::map<std::string, std::int64_t>{{"20000 a.test", 4}, {"20001 a.test", 1}, {"20000 b.test", 1}}));
  EXPECT_EQ(metric("counted"), 6);
  ASSERT_TRUE(loop_.run(counts.flush()).has_value());
  EXPECT_EQ(memory_.statements, 1) << "nothing waits";
}

TEST_F(DmarcCountsTest, AreBounded) {
  DmarcCounts counts(memory_, metrics_, 2);
  for (const char* ip : {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"}) counts.add(seen("a.test", ip), kDay);
  ASSERT_TRUE(loop_.run(counts.flush()).has_value());
  EXPECT_EQ(memory_.all().at("20000 a.test"), 3);
  EXPECT_EQ(metric("left_out"), 1);
  memory_.left_out = true;
  counts.add(seen("a.test"), kDay);
  ASSERT_TRUE(loop_.run(counts.flush()).has_value());
  EXPECT_EQ(metric("left_out"), 2);
}

TEST_F(DmarcCountsTest, WaitForPostgresAndLoseNothingByIt) {
  DmarcCounts counts(memory_, metrics_);
  TaskGroup tasks(loop_.context.get_executor());
  memory_.fail = Error(ErrorCode::kUnavailable, "down");
  counts.add(seen("a.test"), kDay);
  tasks.spawn(counts.run(1ms));
  const auto until = std::chrono::steady_clock::now() + 30s;
  for (int statements = 0; statements < 3 && std::chrono::steady_clock::now() < until;) {
    std::this_thread::sleep_for(1ms);
    std::lock_guard lock(memory_.mutex);
    statements = memory_.statements;
  }
  counts.add(seen("a.test"), kDay);
  EXPECT_TRUE(memory_.all().empty());
  {
    std::lock_guard lock(memory_.mutex);
    memory_.fail.reset();
  }
  ASSERT_TRUE(loop_.run(counts.settle(Deadline::after(30s))).has_value());
  EXPECT_EQ(memory_.all().at("20000 a.test"), 2);
  // What cannot be written at all does not stand in the way of the rest.
  {
    std::lock_guard lock(memory_.mutex);
    memory_.fail = Error(ErrorCode::kInvalidArgument, "bad");
  }
  counts.add(seen("b.test"), kDay);
  ASSERT_TRUE(loop_.run(counts.settle(Deadline::after(30s))).has_value());
  EXPECT_EQ(metric("lost"), 1);
  tasks.cancel();
  ASSERT_TRUE(loop_.run(tasks.join(Deadline::after(30s))).has_value());
}

}  // namespace
}  // namespace merpati::filter
