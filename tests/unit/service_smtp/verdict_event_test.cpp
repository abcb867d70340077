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
  const auto verdict = verdict_of(response);
  EXPECT_EQ(verdict.decision(), "junk");
  EXPECT_EQ(verdict.score(), 7.5);
  EXPECT_EQ(verdict.junk_at(), 6);
  ASSERT_EQ(verdict.engines_size(), 3);
  EXPECT_EQ(verdict.engines(0).symbols(0).name(), "B");
  EXPECT_EQ(verdict.engines(0).duration_us(), 1500);
  EXPECT_FALSE(verdict.engines(1).checked());
  EXPECT_EQ(verdict.engines(2).engine(), "other") << "what no engine that is listed found is not lost";
  EXPECT_EQ(in_words(response), "junk: A, B");
}

}  // namespace
}  // namespace merpati::smtp
