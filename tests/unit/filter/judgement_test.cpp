// What becomes of each recipient's copy by its own rules, and of the message, which has one reply.
#include "filter/judgement.hpp"

#include <gtest/gtest.h>

namespace merpati::filter {
namespace {

class JudgementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    reports_.resize(1);
    reports_[0].engine = "fake";
  }

  void found(std::string name, double score) { reports_[0].findings.symbols.push_back({std::move(name), score}); }
  SharedRules rules(const Policy& policy) const { return merge(configured_->scoring, nullptr, &policy); }
  Judgement judge(const RulesOfRecipients& recipients) const {
    return filter::judge(reports_, recipients, configured_);
  }
  /// "whole: of each recipient"
  std::string outcomes(const RulesOfRecipients& recipients) const {
    static constexpr std::array kNames = {"accept", "junk", "temporary", "refuse", "discard"};
    const auto name = [](Outcome outcome) { return std::string(kNames[static_cast<std::size_t>(outcome)]); };
    const Judgement judgement = judge(recipients);
    std::string out = name(judgement.whole.outcome) + ":";
    for (const auto& one : judgement.recipients) out += " " + name(one.outcome);
    return out;
  }

  std::vector<EngineReport> reports_;
  SharedRules configured_ = std::make_shared<const Rules>();
};

TEST_F(JudgementTest, EachRecipientHasItsThresholds) {
  found("S", 7);
  const auto lenient = rules({{"junk", 10}}), strict = rules({{"junk", 3}, {"refuse", 5}});
  EXPECT_EQ(outcomes({configured_}), "junk: junk");
  EXPECT_EQ(outcomes({lenient}), "accept: accept");
  EXPECT_EQ(outcomes({strict}), "refuse: refuse");
  EXPECT_EQ(outcomes({configured_, lenient}), "accept: junk accept");
  EXPECT_EQ(outcomes({configured_, strict}), "junk: junk refuse");
  EXPECT_EQ(outcomes({strict, lenient, configured_}), "accept: refuse accept junk");
}

TEST_F(JudgementTest, TheMessageIsRefusedWhereAllRefuse) {
  found("S", 20);
  const auto lenient = rules({{"refuse", std::nullopt}}), strict = rules({{"refuse", 10}});
  EXPECT_EQ(outcomes({configured_, strict}), "refuse: refuse refuse");
  EXPECT_EQ(judge({configured_, strict}).whole.reply->code, 550);
  EXPECT_EQ(outcomes({configured_, lenient}), "junk: refuse junk");
  EXPECT_FALSE(judge({configured_, lenient}).whole.reply.has_value());
}

TEST_F(JudgementTest, ForNowOnlyWhereNobodyTakesIt) {
  Scoring scoring;
  scoring.thresholds.temporary = 8;
  configured_ = std::make_shared<const Rules>(Rules{scoring, {}});
  found("S", 9);
  const auto weighs = rules({{"S", 1}}), strict = rules({{"refuse", 9}});
  EXPECT_EQ(outcomes({configured_}), "temporary: temporary");
  EXPECT_EQ(outcomes({configured_, weighs}), "accept: junk accept") << "another's rules hold nobody's mail up";
  EXPECT_EQ(outcomes({strict, configured_}), "temporary: temporary temporary") << "the client comes again for all";
  EXPECT_EQ(judge({strict, configured_}).recipients[0].reply->code, 451);
}

TEST_F(JudgementTest, DiscardingIsOnlyForWhoWantsIt) {
  found("S", 50);
  const auto discards = rules({{"discard", 30}});
  EXPECT_EQ(outcomes({configured_}), "refuse: refuse") << "never by default";
  EXPECT_EQ(outcomes({discards}), "discard: discard");
  EXPECT_EQ(outcomes({discards, configured_}), "junk: discard refuse");
  EXPECT_EQ(outcomes({discards, rules({{"refuse", std::nullopt}, {"junk", std::nullopt}})}), "accept: discard accept");
  reports_[0].findings.refusals.push_back({"LOOP", 554, "5.4.6", "loop"});
  EXPECT_EQ(outcomes({discards}), "refuse: refuse") << "limits are told";
}

TEST_F(JudgementTest, WeightsArePointsOfTheRecipient) {
  found("A", 2);
  found("B", 5);
  const auto judgement = judge({configured_, rules({{"A", 10}, {"B", -1}})});
  EXPECT_EQ(judgement.recipients[0].score, 7);
  EXPECT_EQ(judgement.recipients[1].score, 9);
  EXPECT_EQ(judgement.whole.score, 7) << "of the configuration, where they differ";
  const auto shared = rules({{"B", 0}});
  const auto alike = judge({shared, shared});
  EXPECT_EQ(alike.whole.score, 2);
  EXPECT_EQ(alike.configured.score, 7);
  EXPECT_EQ(alike.whole.symbols[1].weight, Source::kAccount);
  EXPECT_EQ(alike.whole.symbols[0].weight, Source::kEngine);
}

TEST_F(JudgementTest, APolicyWeighsOpinionsAndNotWhatTheOperatorForbids) {
  const auto refuses = [&](Refusal refusal, const Policy& policy) {
    reports_[0].findings.refusals = {std::move(refusal)};
    return outcomes({rules(policy)});
  };
  const Refusal virus{"VIRUS", 554, "5.7.1", "a virus", true};
  EXPECT_EQ(refuses(virus, {{"VIRUS", 1}}), "refuse: refuse");
  Refusal opinion = virus, dmarc = virus;
  opinion.opinion = true;
  dmarc.negotiable = true;
  EXPECT_EQ(refuses(opinion, {{"VIRUS", 1}}), "accept: accept");
  EXPECT_EQ(refuses(dmarc, {{"VIRUS", 7}}), "junk: junk");
  EXPECT_EQ(refuses(dmarc, {{"OTHER", 7}}), "refuse: refuse");
  Refusal limit = dmarc;
  limit.may_be_weighed = false;
  EXPECT_EQ(refuses(limit, {{"VIRUS", 7}}), "refuse: refuse");
}

TEST_F(JudgementTest, WhatFilesIntoJunkIsNegotiableOrNot) {
  const auto files = [&](bool negotiable, bool opinion) {
    Symbol symbol{"Q", 0, {}, false, true};
    symbol.negotiable = negotiable;
    symbol.opinion = opinion;
    reports_[0].findings.symbols = {symbol};
    return outcomes({configured_, rules({{"Q", 1}})});
  };
  EXPECT_EQ(files(false, false), "junk: junk junk");
  EXPECT_EQ(files(true, false), "accept: junk accept");
  EXPECT_EQ(files(false, true), "accept: junk accept");
}

TEST_F(JudgementTest, SymbolsOfOneRecipientAreWeighedByItsOwnRules) {
  found("S", 2);
  reports_[0].findings.of_recipients = {{0, {"OWN", 6}}, {1, {"OWN", 6}}};
  const auto weighs = rules({{"OWN", 1}});
  const auto judgement = judge({configured_, weighs, configured_});
  EXPECT_EQ(outcomes({configured_, weighs, configured_}), "accept: junk accept accept");
  EXPECT_EQ(judgement.recipients[0].score, 8);
  EXPECT_EQ(judgement.recipients[1].score, 3);
  ASSERT_EQ(judgement.recipients[1].symbols.size(), 1U);
  EXPECT_EQ(judgement.recipients[1].symbols[0].score, 1);
  EXPECT_TRUE(judgement.recipients[2].symbols.empty());
  EXPECT_EQ(outcomes({rules({{"refuse", 7}}), configured_}), "junk: junk junk")
      << "what people taught sorts, and refuses nothing";
}

TEST_F(JudgementTest, GreylistedIsWhatEverybodyWouldGreylist) {
  found("S", 5);
  Scoring scoring;
  scoring.thresholds.greylist = 4;
  configured_ = std::make_shared<const Rules>(Rules{scoring, {}});
  const auto never = rules({{"greylist", std::nullopt}}), later = rules({{"greylist", 5.5}}),
             any = rules({{"greylist", 0}});
  EXPECT_TRUE(judge({configured_, any}).greylist);
  EXPECT_TRUE(judge({}).greylist);
  EXPECT_FALSE(judge({configured_, never}).greylist);
  EXPECT_FALSE(judge({later, any}).greylist);
  reports_[0].findings.symbols[0].score = -3;
  EXPECT_TRUE(judge({any}).greylist);
  EXPECT_FALSE(judge({configured_}).greylist);
}

TEST_F(JudgementTest, OfNoRecipientsTheConfigurationJudges) {
  found("S", 7);
  EXPECT_EQ(outcomes({}), "junk:");
}

TEST(Scoring, TheOutcomeWithoutOneEngine) {
  std::vector<EngineReport> reports(2);
  reports[0].engine = "others";
  reports[0].findings.symbols = {{"A", 4}, {"B", 0.1}};
  reports[1].engine = "reputation";
  reports[1].findings.symbols = {{"R", 1.98}};
  Scoring scoring;
  scoring.thresholds.junk = 4.1;
  Verdict verdict = decide(reports, scoring);
  EXPECT_EQ(outcome_without("reputation", verdict, scoring), Outcome::kJunk) << "exactly the sum of the others";
  reports[0].findings.symbols[0].score = 3;
  verdict = decide(reports, scoring);
  EXPECT_EQ(verdict.outcome, Outcome::kJunk);
  EXPECT_EQ(outcome_without("reputation", verdict, scoring), Outcome::kAccept);
  reports[0].findings.symbols.push_back({"Q", 0, {}, false, true});
  EXPECT_EQ(outcome_without("reputation", decide(reports, scoring), scoring), Outcome::kJunk);
  reports[0].findings.refusals.push_back({"LOOP", 554, "5.4.6", "loop"});
  EXPECT_EQ(outcome_without("reputation", decide(reports, scoring), scoring), Outcome::kRefuse);
}

}  // namespace
}  // namespace merpati::filter
