#include "smtp/verdict_event.hpp"

#include <gtest/gtest.h>

namespace merpati::smtp {
namespace {

TEST(VerdictEvent, EachEngineWithWhatItFound) {
  filter::v1::CheckMessageResponse response;
  response.set_decision(filter::v1::DECISION_JUNK);
  response.set_score(7.5);
  response.mutable_thresholds()->set_junk(6);
  const auto run = [&](const char* name, bool checked) {
    auto& engine = *response.add_engines();
    engine.set_engine(name);
    engine.set_checked(checked);
    engine.set_duration_us(1500);
  };
  run("structure", true);
  run("scanner", false);
  const auto symbol = [&](const char* name, double score, const char* engine) {
    auto& one = *response.add_symbols();
    one.set_name(name);
    one.set_score(score);
    one.set_engine(engine);
  };
  symbol("A", 7.5, "other");
  symbol("B", 0, "structure");
  response.mutable_symbols(0)->set_weight(filter::v1::POLICY_SOURCE_CONFIGURATION);
  const auto verdict = verdict_of(response, {});
  EXPECT_EQ(verdict.decision(), "junk");
  EXPECT_EQ(verdict.score(), 7.5);
  EXPECT_EQ(verdict.junk_at(), 6);
  ASSERT_EQ(verdict.engines_size(), 3);
  EXPECT_EQ(verdict.engines(0).symbols(0).name(), "B");
  EXPECT_EQ(verdict.engines(0).duration_us(), 1500);
  EXPECT_FALSE(verdict.engines(1).checked());
  EXPECT_EQ(verdict.engines(2).engine(), "other") << "what no engine that is listed found is not lost";
  EXPECT_EQ(verdict.engines(2).symbols(0).weight_from(), "configuration");
  EXPECT_EQ(verdict.engines(0).symbols(0).weight_from(), "");
  EXPECT_EQ(in_words(response), "junk: A, B");
}

TEST(VerdictEvent, RecipientsThatWereJudgedOtherwise) {
  filter::v1::CheckMessageResponse response;
  response.set_decision(filter::v1::DECISION_ACCEPT);
  response.set_score(4);
  response.mutable_thresholds()->set_junk(6);
  response.mutable_thresholds()->set_greylists(true);
  response.mutable_thresholds()->set_greylist(3);
  response.add_recipients()->set_decision(filter::v1::DECISION_ACCEPT);
  auto& own = *response.add_recipients();
  own.set_decision(filter::v1::DECISION_JUNK);
  own.mutable_judgement()->set_score(5);
  own.mutable_judgement()->mutable_thresholds()->set_junk(5);
  auto& value = *own.mutable_judgement()->add_policy();
  value.set_key("junk");
  value.set_value(5);
  value.set_source(filter::v1::POLICY_SOURCE_ACCOUNT);
  response.add_recipients()->set_decision(filter::v1::DECISION_REFUSE);
  const auto verdict = verdict_of(response, {"a@one.test", "b@two.test", "c@three.test"});
  EXPECT_EQ(verdict.greylist_at(), 3);
  EXPECT_EQ(verdict.recipients_in_all(), 3);
  ASSERT_EQ(verdict.recipients_size(), 2);
  const auto& first = verdict.recipients(0);
  EXPECT_EQ(first.number(), 2);
  EXPECT_EQ(first.recipient(), "b@two.test");
  EXPECT_EQ(first.decision(), "junk");
  EXPECT_EQ(first.score(), 5);
  EXPECT_EQ(first.junk_at(), 5);
  ASSERT_EQ(first.policy_size(), 1);
  EXPECT_EQ(first.policy(0).from(), "account");
  EXPECT_EQ(verdict.recipients(1).decision(), "refuse");
  EXPECT_EQ(verdict.recipients(1).score(), 4);
  EXPECT_EQ(verdict.recipients(1).junk_at(), 6);
  for (int i = 0; i < 200; ++i) response.add_recipients()->set_decision(filter::v1::DECISION_JUNK);
  const auto many = verdict_of(response, {});
  EXPECT_EQ(many.recipients_size(), 100);
  EXPECT_TRUE(many.recipients_left_out());
}

}  // namespace
}  // namespace merpati::smtp
