#include "filter/sender_rate_engine.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "filter/scoring.hpp"

namespace merpati::filter {
namespace {

class FakeCounts : public SentCounts {
 public:
  Task<Sent> count(std::int64_t, std::int64_t recipients, WallTime, Deadline) override {
    ++sent.messages;
    sent.recipients += recipients;
    co_return sent;
  }
  Sent sent;
};

class SenderRateTest : public ::testing::Test {
 protected:
  /// The verdict over the n-th message to `recipients`.
  Verdict nth(int n, std::size_t recipients = 1, std::int64_t account = 7) {
    FakeCounts counts;
    SenderRateEngine engine(limits_, counts);
    EngineReport report;
    MessageView view;
    view.authenticated_account = account;
    view.recipients.assign(recipients, "you@remote.test");
    for (int i = 0; i < n; ++i) {
      asio::io_context loop;
      auto findings = asio::co_spawn(loop, engine.check(view), asio::use_future);
      loop.run();
      report.findings = findings.get().value();
    }
    counted_ = counts.sent.messages;
    return decide(std::span(&report, 1), {});
  }
  SenderRateLimits limits_{10, 100, false};
  std::int64_t counted_ = 0;
};

TEST_F(SenderRateTest, WhatIsBeyondIsMarked) {
  EXPECT_TRUE(nth(10).symbols.empty());
  const Verdict verdict = nth(11);
  EXPECT_EQ(verdict.outcome, Outcome::kAccept);
  ASSERT_EQ(verdict.symbols.size(), 1U);
  EXPECT_EQ(verdict.symbols[0].name, "SENDER_RATE");
  EXPECT_EQ(verdict.symbols[0].detail, "11 messages to 11 recipients within the hour");
  EXPECT_TRUE(nth(2, 50).symbols.empty());
  EXPECT_EQ(nth(2, 51).symbols.size(), 1U) << "recipients count, too";
  limits_ = {0, 0, false};
  EXPECT_TRUE(nth(50, 50).symbols.empty()) << "0 is no limit";
}

TEST_F(SenderRateTest, OrAnsweredForNow) {
  limits_.refuse = true;
  EXPECT_EQ(nth(10).outcome, Outcome::kAccept);
  const Verdict verdict = nth(11);
  EXPECT_EQ(verdict.outcome, Outcome::kTemporary) << "the next hour is another one";
  EXPECT_EQ(verdict.reply->code, 451);
}

TEST_F(SenderRateTest, MailFromOutsideIsNotCounted) {
  EXPECT_TRUE(nth(20, 1, 0).symbols.empty());
  EXPECT_EQ(counted_, 0);
}

}  // namespace
}  // namespace merpati::filter
