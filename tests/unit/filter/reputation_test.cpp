#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>

#include "filter/judged_messages.hpp"
#include "filter/reputation_engine.hpp"
#include "filter/sender_identity.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/mailauth/authenticate.hpp"

namespace merpati::filter {
namespace {

class FakeMemory : public ReputationMemory {
 public:
  Task<Reputations> look_up(const SenderNames& names, std::chrono::seconds, Deadline) override {
    asked = names;
    co_return known;
  }
  Task<void> count(const std::vector<JudgedMessage>& messages, std::chrono::seconds, Deadline) override {
    ++statements;
    if (fail) co_return *fail;
    counted.insert(counted.end(), messages.begin(), messages.end());
    co_return Result<void>();
  }
  Reputations known;
  SenderNames asked;
  std::vector<JudgedMessage> counted;
  int statements = 0;
  std::optional<Error> fail;
};

class ReputationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    view_.client = boost::asio::ip::make_address("192.0.2.77");
    view_.reverse_path = "Joe@news.Example.org";
  }
  void authenticate(mailauth::DmarcResult dmarc, mailauth::SpfResult spf, const char* author = "example.org") {
    found_.dmarc.emplace();
    found_.dmarc->result = dmarc;
    found_.dmarc->evaluations.emplace_back().author_domain = author;
    found_.spf.emplace();
    found_.spf->result = spf;
    found_.spf->domain = "news.example.org";
    view_.authentication = &found_;
  }
  Findings check() {
    ReputationEngine engine(settings_, memory_);
    asio::io_context loop;
    auto findings = asio::co_spawn(loop, engine.check(view_), asio::use_future);
    loop.run();
    return findings.get().value();
  }

  ReputationSettings settings_;
  FakeMemory memory_;
  MessageView view_;
  mailauth::Authentication found_;
};

TEST_F(ReputationTest, PointsAreBoundedAndGrowWithWhatIsKnown) {
  EXPECT_EQ(reputation_points({0, 0, 0}, 2, 0), 0);
  EXPECT_EQ(reputation_points({0, 9, 0}, 2, 10), 0) << "too few to say anything";
  EXPECT_DOUBLE_EQ(reputation_points({0, 5, 5}, 2, 10), 1);
  EXPECT_DOUBLE_EQ(reputation_points({10, 0, 0}, 2, 10), -0.5) << "good mail gives half of what bad mail takes";
  EXPECT_DOUBLE_EQ(reputation_points({50, 50, 0}, 2, 10), 0);
  EXPECT_LT(reputation_points({0, 0, 1e12}, 2, 10), 2.0001);
  EXPECT_GT(reputation_points({0, 0, 1e12}, 2, 10), 1.99);
  EXPECT_GT(reputation_points({1e12, 0, 0}, 2, 10), -1.0001);
}

TEST_F(ReputationTest, EachNameHasItsSymbol) {
  memory_.known = {{0, 0, 990}, {495, 495, 0}, {990, 0, 0}};
  const Findings findings = check();
  EXPECT_EQ(memory_.asked.sender, "joe@news.example.org from 192.0.2.0/24");
  EXPECT_EQ(memory_.asked.domain, "");
  ASSERT_EQ(findings.symbols.size(), 2U) << "no domain is authenticated";
  EXPECT_EQ(findings.symbols[0].name, "SENDER_REPUTATION");
  EXPECT_DOUBLE_EQ(findings.symbols[0].score, 1.98);
  EXPECT_EQ(findings.symbols[0].detail, "joe@news.example.org from 192.0.2.0/24: 0.0 good, 0.0 junk, 990.0 refused");
  EXPECT_EQ(findings.symbols[1].name, "ADDRESS_REPUTATION");
  EXPECT_DOUBLE_EQ(findings.symbols[1].score, -0.495);
}

TEST_F(ReputationTest, WhoIsAuthenticatedIsTheSameFromEverywhere) {
  authenticate(mailauth::DmarcResult::kPass, mailauth::SpfResult::kPass);
  memory_.known.domain = {990, 0, 0};
  const Findings findings = check();
  EXPECT_EQ(memory_.asked.sender, "joe@news.example.org");
  EXPECT_EQ(memory_.asked.domain, "example.org");
  EXPECT_EQ(memory_.asked.network, "192.0.2.0/24");
  ASSERT_EQ(findings.symbols.size(), 1U);
  EXPECT_EQ(findings.symbols[0].name, "DOMAIN_REPUTATION");
  EXPECT_TRUE(findings.known_good);

  authenticate(mailauth::DmarcResult::kPass, mailauth::SpfResult::kNone, "elsewhere.test");
  check();
  EXPECT_EQ(memory_.asked.sender, "joe@news.example.org from 192.0.2.0/24")
      << "another domain vouches, not the sender's";
  EXPECT_EQ(memory_.asked.domain, "elsewhere.test");
}

TEST_F(ReputationTest, WhoIsKnownForSomeBadMailIsNotKnownForGoodMail) {
  memory_.known.network = {950, 50, 0};
  EXPECT_TRUE(check().known_good);
  memory_.known.network = {850, 150, 0};
  EXPECT_FALSE(check().known_good);
  memory_.known.network = {9, 0, 0};
  EXPECT_FALSE(check().known_good) << "too few";
  memory_.known = {{0, 20, 0}, {}, {950, 50, 0}};
  EXPECT_FALSE(check().known_good) << "a bad sender among good neighbours";
}

TEST_F(ReputationTest, SendersWithATokenInTheirAddressAreOne) {
  const auto sender = [&](const char* reverse_path) {
    view_.reverse_path = reverse_path;
    authenticate(mailauth::DmarcResult::kNone, mailauth::SpfResult::kPass);
    return sender_of(view_);
  };
  EXPECT_EQ(sender("bounces+123=you.test@news.example.org"), "bounces@news.example.org");
  EXPECT_EQ(sender("srs0=Xy=ab=c.test=joe@news.example.org"), "srs0@news.example.org");
  EXPECT_EQ(sender("0102018f-abcd-ef01-2345-678901234567-000000@news.example.org"), "") << "a token is nobody's name";
  EXPECT_EQ(sender(""), "");
}

TEST_F(ReputationTest, OurOwnMailIsNeitherJudgedNorCounted) {
  ReputationEngine engine(settings_, memory_);
  EXPECT_TRUE(engine.counted_for(view_).has_value());
  view_.authenticated_account = 7;
  EXPECT_FALSE(engine.counted_for(view_).has_value());
  view_.authenticated_account = 0;
  settings_.own_networks = net::CidrSet::parse(std::vector<std::string>{"192.0.2.0/24"}).value();
  EXPECT_FALSE(ReputationEngine(settings_, memory_).counted_for(view_).has_value());
  memory_.known.network = {990, 0, 0};
  EXPECT_TRUE(check().symbols.empty());
}

class JudgedMessagesTest : public ::testing::Test {
 protected:
  static JudgedMessage judged(Outcome outcome = Outcome::kAccept) { return {new_uuid(), outcome, {"s", "d", "n"}}; }
  void run_until(const std::function<bool()>& done) {
    asio::io_context loop;
    TaskGroup tasks(loop.get_executor());
    tasks.spawn(messages_.run());
    while (!done()) loop.run_one();
    tasks.cancel();
    loop.run();
  }
  runtime::Metrics metrics_;
  FakeMemory memory_;
  JudgedMessages messages_{memory_, std::chrono::hours(1), metrics_, 100};
};

TEST_F(JudgedMessagesTest, WhatWaitsIsOneStatement) {
  for (int i = 0; i < 50; ++i) messages_.add(judged(i % 2 == 0 ? Outcome::kAccept : Outcome::kRefuse));
  messages_.add(judged(Outcome::kTemporary));
  messages_.add({"no uuid", Outcome::kAccept, {}});
  run_until([&] { return !memory_.counted.empty(); });
  EXPECT_EQ(memory_.statements, 1);
  EXPECT_EQ(memory_.counted.size(), 50U) << "what may come again has no outcome";
}

TEST_F(JudgedMessagesTest, WithoutPostgresqlAsManyWaitAsFit) {
  memory_.fail = Error(ErrorCode::kUnavailable, "down");
  for (int i = 0; i < 150; ++i) messages_.add(judged());
  run_until([&] { return memory_.statements == 1; });
  memory_.fail.reset();
  asio::io_context loop;
  auto flushed = asio::co_spawn(loop, messages_.flush(), asio::use_future);
  loop.run();
  EXPECT_TRUE(flushed.get().has_value());
  EXPECT_EQ(memory_.counted.size(), 100U);
  EXPECT_EQ(metrics_.counter("merpati_filter_reputation_messages_total", "", {{"result", "lost"}}).value(), 50);
}

}  // namespace
}  // namespace merpati::filter
