// What the models know becomes symbols: one of all mail, and one of each recipient's own.
#include "filter/bayes_engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "filter/bayes_setup.hpp"
#include "filter/scoring.hpp"
#include "merpati/config/v1/filter_bayes.pb.h"
#include "merpati/runtime/config_loader.hpp"

namespace merpati::filter {
namespace {

class FakeLookup : public BayesLookup {
 public:
  bool speaks() const override { return any; }
  Task<std::vector<BayesKnowledge>> find(const std::vector<std::int64_t>& tokens,
                                         const std::vector<std::int64_t>& accounts, Deadline) override {
    asked = accounts;
    asked_tokens = tokens.size();
    std::vector<BayesKnowledge> out;
    for (const auto& model : models)
      if (std::ranges::count(accounts, model.account) > 0) out.push_back(model);
    co_return out;
  }
  /// A model in which every token of the message was seen like this.
  void add(std::int64_t account, bayes::Counts token, bayes::Counts messages = {1000, 1000}) {
    models.push_back({account, messages, std::vector<bayes::Counts>(30, token)});
  }
  bool any = true;
  std::vector<BayesKnowledge> models;
  std::vector<std::int64_t> asked;
  std::size_t asked_tokens = 0;
};

constexpr bayes::Counts kSpammy{50, 0}, kHammy{0, 50}, kNeither{50, 50};

class BayesEngineTest : public ::testing::Test {
 protected:
  Findings look(std::vector<std::int64_t> accounts = {7, 8}) {
    MessageView view;
    view.message = message_;
    view.whole = whole_;
    view.authenticated_account = sender_;
    view.recipient_accounts = std::move(accounts);
    view.recipients.assign(view.recipient_accounts.size(), "you@example.test");
    BayesEngine engine({}, lookup_, blocking_);
    asio::io_context loop;
    auto findings = asio::co_spawn(loop, engine.check(view), asio::use_future);
    loop.run();
    return findings.get().value();
  }
  Verdict judge(const Scoring& scoring = {}) {
    EngineReport report;
    report.engine = "bayes";
    report.findings = look();
    return decide(std::span(&report, 1), scoring);
  }
  FakeLookup lookup_;
  asio::thread_pool blocking_{1};
  std::string message_ = "From: a@b.example\r\nSubject: buy\r\n\r\nbuy pills\r\n";
  bool whole_ = true;
  std::int64_t sender_ = 0;
};

TEST_F(BayesEngineTest, TheModelOfAllJudgesTheMessage) {
  lookup_.add(kModelOfAll, kSpammy);
  auto found = look();
  ASSERT_EQ(found.symbols.size(), 1U);
  EXPECT_EQ(found.symbols[0].name, "BAYES_SPAM");
  EXPECT_EQ(found.symbols[0].score, 4);
  EXPECT_EQ(found.symbols[0].detail, "spam by 100.0 %, 30 clues");
  EXPECT_TRUE(found.of_recipients.empty());
  EXPECT_GT(lookup_.asked_tokens, 5U);
  lookup_.models.clear();
  lookup_.add(kModelOfAll, kHammy);
  found = look();
  ASSERT_EQ(found.symbols.size(), 1U);
  EXPECT_EQ(found.symbols[0].name, "BAYES_HAM");
  EXPECT_EQ(found.symbols[0].score, -2);
  lookup_.models.clear();
  lookup_.add(kModelOfAll, kNeither);
  EXPECT_TRUE(look().symbols.empty()) << "what is not sure says nothing";
  lookup_.models.clear();
  lookup_.add(kModelOfAll, kSpammy, {1000, 100});
  EXPECT_TRUE(look().symbols.empty()) << "too little was learnt";
}

TEST_F(BayesEngineTest, AnOwnModelJudgesForItsRecipient) {
  lookup_.add(8, kSpammy);
  const auto found = look();
  EXPECT_TRUE(found.symbols.empty());
  ASSERT_EQ(found.of_recipients.size(), 1U);
  EXPECT_EQ(found.of_recipients[0].recipient, 1U);
  EXPECT_EQ(found.of_recipients[0].symbol.name, "OWN_BAYES_SPAM");
  EXPECT_EQ(lookup_.asked, (std::vector<std::int64_t>{7, 8, kModelOfAll}));
  const Verdict verdict = judge();
  EXPECT_EQ(verdict.outcome, Outcome::kAccept);
  EXPECT_EQ(verdict.score, 0);
  EXPECT_EQ(outcome_for(0, verdict, {}), Outcome::kAccept);
  EXPECT_EQ(outcome_for(1, verdict, {}), Outcome::kJunk);
  Scoring weighed;
  weighed.weights["OWN_BAYES_SPAM"] = 5;
  EXPECT_EQ(outcome_for(1, judge(weighed), weighed), Outcome::kAccept) << "a weight replaces its points";
}

TEST_F(BayesEngineTest, AnOwnModelMayDisagreeWithTheSum) {
  lookup_.add(kModelOfAll, kSpammy);
  lookup_.add(7, kHammy);
  Scoring scoring;
  scoring.thresholds.junk = 3;
  const Verdict verdict = judge(scoring);
  EXPECT_EQ(verdict.outcome, Outcome::kJunk);
  EXPECT_EQ(outcome_for(0, verdict, scoring), Outcome::kAccept);
  EXPECT_EQ(outcome_for(1, verdict, scoring), Outcome::kJunk);
  scoring.thresholds.refuse = 4;
  const Verdict refused = judge(scoring);
  EXPECT_EQ(outcome_for(0, refused, scoring), Outcome::kRefuse) << "one reply for all of them";
}

TEST_F(BayesEngineTest, JunkWhateverTheScoreStaysSo) {
  lookup_.add(7, kHammy);
  EngineReport reports[2];
  reports[0].findings = look();
  reports[1].findings.symbols.push_back({"DMARC_QUARANTINE", 0, {}, false, true});
  const Verdict verdict = decide(reports, {});
  EXPECT_EQ(outcome_for(0, verdict, {}), Outcome::kJunk);
}

TEST_F(BayesEngineTest, NobodyIsAskedInVain) {
  lookup_.add(kModelOfAll, kSpammy);
  const auto silent = [this] { return look().symbols.empty() && lookup_.asked.empty(); };
  lookup_.any = false;
  EXPECT_TRUE(silent()) << "nothing was learnt";
  lookup_.any = true;
  whole_ = false;
  EXPECT_TRUE(silent()) << "too large to be read";
  whole_ = true;
  sender_ = 5;
  EXPECT_TRUE(silent()) << "submitted";
  sender_ = 0;
  std::vector<std::int64_t> many(21);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::int64_t>(i) + 1;
  EXPECT_EQ(look(many).symbols.size(), 1U);
  EXPECT_EQ(lookup_.asked, std::vector<std::int64_t>{kModelOfAll}) << "of so many recipients none";
  EXPECT_EQ(look({0, 3, 3}).symbols.size(), 1U);
  EXPECT_EQ(lookup_.asked, (std::vector<std::int64_t>{3, kModelOfAll})) << "each once, remote ones not";
}

TEST_F(BayesEngineTest, SettingsThatMakeNoSenseAreNamed) {
  config::v1::Bayes good;
  runtime::apply_defaults(good);
  const auto settings = bayes_settings(good);
  ASSERT_TRUE(settings.has_value());
  EXPECT_EQ(settings->limits.forget_after, std::chrono::hours(24 * 180));
  EXPECT_EQ(settings->limits.min_learnt, 200);
  const auto wrong = [&good](auto change) {
    config::v1::Bayes bad = good;
    change(bad);
    auto out = bayes_settings(bad);
    return out.has_error() ? out.error().message() : std::string();
  };
  EXPECT_THAT(wrong([](auto& c) { c.set_spam_score(-1); }), testing::HasSubstr("filter.bayes.spam_score"));
  EXPECT_THAT(wrong([](auto& c) { c.set_own_ham_score(1); }), testing::HasSubstr("ham_score"));
  EXPECT_THAT(wrong([](auto& c) { c.set_min_learnt(0); }), testing::HasSubstr("min_learnt"));
  EXPECT_THAT(wrong([](auto& c) { c.mutable_forget_after()->set_seconds(60); }), testing::HasSubstr("forget_after"));
}

}  // namespace
}  // namespace merpati::filter
