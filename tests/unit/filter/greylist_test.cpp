#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "filter/engine_runner.hpp"
#include "filter/greylist_engine.hpp"
#include "filter/sender_identity.hpp"
#include "merpati/mailauth/authenticate.hpp"

namespace merpati::filter {
namespace {

class FakeGreylist : public Greylist {
 public:
  Task<Greylisted> ask(const Attempt& attempt, const GreylistTimes&, Deadline) override {
    asked.push_back(attempt);
    if (fail) co_return Error(ErrorCode::kUnavailable, "down");
    co_return answer;
  }
  std::vector<Attempt> asked;
  Greylisted answer{Greylisted::State::kFirst, 299.2};
  bool fail = false;
};

/// What the other engines say.
class FakeEngine : public Engine {
 public:
  explicit FakeEngine(Findings findings) : findings_(std::move(findings)) {}
  std::string_view name() const override { return "fake"; }
  Stage stage() const override { return Stage::kFirst; }
  Task<Findings> wait_for(const MessageView&) override { co_return findings_; }

 private:
  const Findings findings_;
};

class GreylistTest : public ::testing::Test {
 protected:
  void SetUp() override {
    view_.client = boost::asio::ip::make_address("192.0.2.77");
    view_.reverse_path = "Joe@Example.ORG";
    view_.delivery_id = "0192b3c4-0000-7000-8000-000000000001";
    view_.recipients = {"you@here.test", "Me@here.test"};
    scoring_.thresholds.greylist = 4;
  }
  Verdict judge(double score = 5) {
    runtime::Metrics metrics;
    EngineRunner runner(metrics, std::make_shared<const Rules>(Rules{scoring_, {}}));
    others_.symbols = {{"OTHERS", score}};
    runner.add(std::make_shared<FakeEngine>(others_));
    runner.add(std::make_shared<GreylistEngine>(settings_, greylist_, metrics));
    asio::io_context loop;
    auto reports = asio::co_spawn(loop, runner.run(view_, Deadline::never()), asio::use_future);
    loop.run();
    return decide(reports.get().value(), scoring_);
  }
  bool asked(double score = 5) {
    greylist_.asked.clear();
    judge(score);
    return !greylist_.asked.empty();
  }
  void authenticate(mailauth::DmarcResult dmarc, mailauth::SpfResult spf) {
    auto found = std::make_shared<mailauth::Authentication>();
    found->dmarc.emplace();
    found->dmarc->result = dmarc;
    found->dmarc->evaluations.emplace_back().author_domain = "News.example.co.uk";
    found->spf.emplace();
    found->spf->result = spf;
    found->spf->domain = "bounces.example.org";
    others_.authentication = std::move(found);
  }

  GreylistSettings settings_;
  FakeGreylist greylist_;
  MessageView view_;
  Findings others_;
  Scoring scoring_;
};

TEST_F(GreylistTest, WhoIsNotKnownIsToldWhenToComeAgain) {
  const Verdict verdict = judge();
  EXPECT_EQ(verdict.outcome, Outcome::kTemporary);
  ASSERT_TRUE(verdict.reply.has_value());
  EXPECT_EQ(verdict.reply->code, 451);
  EXPECT_EQ(verdict.reply->enhanced, "4.7.1");
  EXPECT_EQ(verdict.reply->text, "Greylisted: this sender is not known here yet, try again in 300 seconds");
  ASSERT_EQ(greylist_.asked.size(), 1U);
  EXPECT_EQ(greylist_.asked[0].client, "192.0.2.0/24");
  EXPECT_EQ(greylist_.asked[0].domain, "example.org");
  EXPECT_EQ(greylist_.asked[0].delivery_id, view_.delivery_id);
  ASSERT_EQ(greylist_.asked[0].triplets.size(), 2U);
  EXPECT_NE(greylist_.asked[0].triplets[0], greylist_.asked[0].triplets[1]);

  greylist_.answer = {Greylisted::State::kEarly, 0.01};
  EXPECT_EQ(judge().reply->text, "Greylisted: this sender is not known here yet, try again in 1 second");
}

TEST_F(GreylistTest, WhoIsKnownPassesAndTheOtherScoresDecide) {
  for (const auto& [state, symbol] : {std::pair{Greylisted::State::kPassed, "GREYLIST_PASSED"},
                                      std::pair{Greylisted::State::kKnown, "GREYLIST_KNOWN"}}) {
    greylist_.answer = {state, 301};
    const Verdict verdict = judge(7);
    EXPECT_EQ(verdict.outcome, Outcome::kJunk);
    EXPECT_EQ(verdict.symbols.back().name, symbol);
    EXPECT_NE(verdict.symbols.back().detail.find("192.0.2.0/24 for example.org"), std::string::npos);
  }
}

TEST_F(GreylistTest, OnlyWhatScoresEnoughAndIsNotRefusedAnyway) {
  EXPECT_FALSE(asked(3.9));
  EXPECT_TRUE(asked(4));
  EXPECT_FALSE(asked(15)) << "refused for good: it would come again in vain";
  scoring_.thresholds.greylist = kNever;
  EXPECT_FALSE(asked(14)) << "nobody is to be greylisted";
  scoring_.thresholds.greylist = 0;
  EXPECT_TRUE(asked(-1)) << "everybody who is not known";
  view_.authenticated_account = 7;
  EXPECT_FALSE(asked()) << "submitted";
}

TEST_F(GreylistTest, WhoIsKnownForGoodMailOrIsOurOwnPasses) {
  others_.known_good = true;
  EXPECT_FALSE(asked());
  others_.known_good = false;
  settings_.own_networks = net::CidrSet::parse(std::vector<std::string>{"192.0.2.64/26"}).value();
  EXPECT_FALSE(asked());
  view_.client = boost::asio::ip::address();
  EXPECT_FALSE(asked()) << "of a client without an address nothing can be remembered";
}

TEST_F(GreylistTest, AuthenticatedDomainsPassOrAreTheSenderFromWhereverTheyCome) {
  authenticate(mailauth::DmarcResult::kFail, mailauth::SpfResult::kPass);
  EXPECT_FALSE(asked());
  authenticate(mailauth::DmarcResult::kFail, mailauth::SpfResult::kSoftFail);
  EXPECT_TRUE(asked());

  settings_.skip_authenticated = false;
  authenticate(mailauth::DmarcResult::kPass, mailauth::SpfResult::kPass);
  ASSERT_TRUE(asked());
  EXPECT_EQ(greylist_.asked[0].client, "example.co.uk");
  const auto from_here = greylist_.asked[0].triplets;
  view_.client = boost::asio::ip::make_address("2001:db8::1");
  ASSERT_TRUE(asked());
  EXPECT_EQ(greylist_.asked[0].triplets, from_here);
}

TEST_F(GreylistTest, TheSameSenderIsTheSameInAnyCaseAndFromANeighbour) {
  ASSERT_TRUE(asked());
  const auto before = greylist_.asked[0].triplets;
  view_.client = boost::asio::ip::make_address("192.0.2.4");
  view_.reverse_path = "joe@example.org";
  view_.recipients = {"YOU@here.test", "me@here.test"};
  ASSERT_TRUE(asked());
  EXPECT_EQ(greylist_.asked[0].triplets, before);
  view_.client = boost::asio::ip::make_address("192.0.3.4");
  ASSERT_TRUE(asked());
  EXPECT_NE(greylist_.asked[0].triplets, before);
}

TEST_F(GreylistTest, WithoutPostgresqlItSaysSoAndMailGoesOnAsConfigured) {
  greylist_.fail = true;
  const Verdict verdict = judge();
  EXPECT_EQ(verdict.outcome, Outcome::kAccept);
  EXPECT_EQ(verdict.symbols.back().name, "GREYLIST");
  EXPECT_TRUE(verdict.symbols.back().not_checked);
  settings_.when_unchecked = WhenUnchecked::kTemporary;
  EXPECT_EQ(judge().outcome, Outcome::kTemporary);
}

TEST_F(GreylistTest, AWeightMakesItATrial) {
  scoring_.weights["GREYLIST"] = 0;
  const Verdict verdict = judge();
  EXPECT_EQ(verdict.outcome, Outcome::kAccept);
  EXPECT_EQ(verdict.symbols.back().name, "GREYLIST");
}

TEST(SenderIdentity, NetworksAreWhatOneSenderHas) {
  const auto of = [](const char* text) { return network_of(boost::asio::ip::make_address(text)); };
  EXPECT_EQ(of("198.51.100.200"), "198.51.100.0/24");
  EXPECT_EQ(of("::ffff:198.51.100.200"), "198.51.100.0/24");
  EXPECT_EQ(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(of("0.0.0.0"), "");
}

}  // namespace
}  // namespace merpati::filter
