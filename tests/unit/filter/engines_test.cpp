// The frame of the engines: what they say becomes one verdict, and none can hold up or bring down the others.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>

#include "filter/engine_runner.hpp"

namespace merpati::filter {
namespace {
using std::chrono::milliseconds;

class FakeEngine : public Engine {
 public:
  FakeEngine(std::string name, std::function<Task<Findings>()> check, EngineSettings settings = {})
      : name_(std::move(name)), check_(std::move(check)), settings_(settings) {}
  std::string_view name() const override { return name_; }
  EngineSettings settings() const override { return settings_; }
  Task<Findings> wait_for(const MessageView&) override {
    ++calls;
    return check_();
  }
  int calls = 0;

 private:
  std::string name_;
  std::function<Task<Findings>()> check_;
  EngineSettings settings_;
};

Task<Findings> finds(std::string name, double score) {
  Findings findings;
  findings.symbols.push_back({std::move(name), score, {}, false});
  co_return findings;
}
Task<Findings> fails() { co_return Error(ErrorCode::kUnavailable, "down"); }
Task<Findings> hangs() {
  MERPATI_CO_CHECK(co_await sleep_for(std::chrono::hours(1)));
  co_return Findings();
}

Result<std::vector<EngineReport>> run(EngineRunner& runner, Deadline deadline = Deadline::never()) {
  const MessageView view;
  asio::io_context loop;
  auto reports = asio::co_spawn(loop, runner.run(view, deadline), asio::use_future);
  loop.run();
  return reports.get();
}

TEST(EngineRunner, OneThatHangsOrFailsDoesNotSilenceTheOthers) {
  runtime::Metrics metrics;
  EngineRunner runner(metrics);
  runner.add(std::make_shared<FakeEngine>("slow", hangs, EngineSettings{milliseconds(20), WhenUnchecked::kMark}));
  runner.add(std::make_shared<FakeEngine>("good", [] { return finds("GOOD", 2); }));
  runner.add(std::make_shared<FakeEngine>("down", fails));
  const auto reports = run(runner);
  ASSERT_TRUE(reports.has_value());
  const Verdict verdict = decide(*reports, {});
  EXPECT_EQ(verdict.outcome, Outcome::kAccept);
  EXPECT_EQ(verdict.score, 2);
  ASSERT_EQ(verdict.symbols.size(), 3U);
  EXPECT_EQ(verdict.symbols[0].name, "SLOW");
  EXPECT_TRUE(verdict.symbols[0].not_checked);
  EXPECT_FALSE(verdict.symbols[1].not_checked);
  EXPECT_TRUE(verdict.symbols[2].not_checked);
}

// Each engine waits for the other: one after the other would never end.
class RemoteEngine : public FakeEngine {
 public:
  RemoteEngine(std::function<Task<Findings>()> check, bool answers)
      : FakeEngine("remote", std::move(check), EngineSettings{std::chrono::hours(2)}), answers_(answers) {}
  bool is_remote() const override { return true; }
  Task<void> ping() override {
    ++pings;
    if (!answers_) MERPATI_CO_CHECK(co_await sleep_for(std::chrono::hours(1)));
    co_return Result<void>();
  }
  int pings = 0;

 private:
  const bool answers_;
};

TEST(EngineRunner, OneWhoseProgramSaysNothingIsNotWaitedFor) {
  runtime::Metrics metrics;
  EngineRunner runner(metrics);
  auto engine = std::make_shared<RemoteEngine>(hangs, false);
  runner.add(engine);
  const auto reports = run(runner);
  ASSERT_TRUE(reports.has_value());
  EXPECT_FALSE(reports->at(0).checked);
  EXPECT_EQ(engine->pings, 1);
}

TEST(EngineRunner, OneThatTakesLongAndAnswersIsWaitedFor) {
  runtime::Metrics metrics;
  EngineRunner runner(metrics);
  auto engine = std::make_shared<RemoteEngine>(
      []() -> Task<Findings> {
        MERPATI_CO_CHECK(co_await sleep_for(milliseconds(900)));
        co_return co_await finds("FOUND", 1);
      },
      true);
  runner.add(engine);
  const auto reports = run(runner);
  ASSERT_TRUE(reports.has_value());
  EXPECT_TRUE(reports->at(0).checked);
  EXPECT_GE(engine->pings, 1);
}

TEST(EngineRunner, EnginesRunSideBySide) {
  runtime::Metrics metrics;
  EngineRunner runner(metrics);
  auto here = std::make_shared<int>(0);
  const auto meets = [here]() -> Task<Findings> {
    ++*here;
    while (*here < 2) MERPATI_CO_CHECK(co_await sleep_for(milliseconds(1)));
    co_return Findings();
  };
  runner.add(std::make_shared<FakeEngine>("a", meets));
  runner.add(std::make_shared<FakeEngine>("b", meets));
  const auto reports = run(runner);
  ASSERT_TRUE(reports.has_value());
  EXPECT_TRUE((*reports)[0].checked);
  EXPECT_TRUE((*reports)[1].checked);
}

TEST(EngineRunner, AnEngineThatFailsIsLeftAloneAndProbed) {
  runtime::Metrics metrics;
  EngineRunner runner(metrics);
  bool down = true;
  auto engine = std::make_shared<FakeEngine>("flaky", [&] { return down ? fails() : finds("OK", 1); });
  runner.add(engine, {.failures = 3, .pause = std::chrono::hours(1)});
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(run(runner)->front().checked);
  EXPECT_EQ(engine->calls, 3);
  EXPECT_EQ(metrics.gauge("merpati_filter_engine_avoided", "", {{"engine", "flaky"}}).value(), 1);

  EngineRunner probing(metrics);
  probing.add(engine, {.failures = 1, .pause = milliseconds(0)});
  EXPECT_FALSE(run(probing)->front().checked);
  down = false;
  EXPECT_TRUE(run(probing)->front().checked);
  EXPECT_EQ(metrics.gauge("merpati_filter_engine_avoided", "", {{"engine", "flaky"}}).value(), 0);
}

TEST(EngineRunner, TheCallersHasteIsNotTheEnginesFault) {
  runtime::Metrics metrics;
  EngineRunner runner(metrics);
  auto engine = std::make_shared<FakeEngine>("slow", hangs);
  runner.add(engine, {.failures = 1, .pause = std::chrono::hours(1)});
  EXPECT_FALSE(run(runner, Deadline::after(milliseconds(5)))->front().checked);
  EXPECT_FALSE(run(runner, Deadline::after(milliseconds(5)))->front().checked);
  EXPECT_EQ(engine->calls, 2);
}

TEST(EngineRunner, ACallerThatGoesEndsTheChecksFirst) {
  runtime::Metrics metrics;
  EngineRunner runner(metrics);
  auto ended = std::make_shared<int>(0);
  const auto counts = [ended]() -> Task<Findings> {
    auto slept = co_await sleep_for(std::chrono::hours(1));
    ++*ended;
    co_return std::move(slept).error();
  };
  runner.add(std::make_shared<FakeEngine>("a", counts, EngineSettings{std::chrono::hours(1), WhenUnchecked::kMark}));
  runner.add(std::make_shared<FakeEngine>("b", counts, EngineSettings{std::chrono::hours(1), WhenUnchecked::kMark}));
  const MessageView view;
  asio::io_context loop;
  auto reports = asio::co_spawn(
      loop, with_deadline(runner.run(view, Deadline::never()), Deadline::after(milliseconds(5))), asio::use_future);
  loop.run();
  EXPECT_TRUE(reports.get().has_error());
  EXPECT_EQ(*ended, 2);
}

class FirstEngine : public FakeEngine {
 public:
  using FakeEngine::FakeEngine;
  Stage stage() const override { return Stage::kFirst; }
};

TEST(EngineRunner, WhatRefusesInTheFirstStageSparesTheSecond) {
  runtime::Metrics metrics;
  EngineRunner runner(metrics);
  bool weighed = false;
  auto second = std::make_shared<FakeEngine>("second", [] { return finds("S", 1); });
  runner.add(second);
  runner.add(std::make_shared<FirstEngine>("first", [&]() -> Task<Findings> {
    Findings findings;
    findings.refusals.push_back({"R", 550, "5.7.1", "no", weighed});
    co_return findings;
  }));
  auto reports = run(runner);
  ASSERT_EQ(reports->size(), 1U);
  EXPECT_EQ(reports->front().engine, "first");
  EXPECT_EQ(second->calls, 0);
  weighed = true;
  reports = run(runner);
  ASSERT_EQ(reports->size(), 2U);
  EXPECT_EQ(reports->back().engine, "second");
}

TEST(CircuitBreaker, OneProbeAtATime) {
  CircuitBreaker breaker({.failures = 2, .pause = milliseconds(1000)});
  const CircuitBreaker::Time start{};
  EXPECT_EQ(breaker.failure(start), CircuitBreaker::Change::kNone);
  EXPECT_EQ(breaker.success(), CircuitBreaker::Change::kNone);
  EXPECT_EQ(breaker.failure(start), CircuitBreaker::Change::kNone) << "only failures in a row count";
  EXPECT_EQ(breaker.failure(start), CircuitBreaker::Change::kOpened);
  EXPECT_FALSE(breaker.allow(start + milliseconds(999)));
  EXPECT_TRUE(breaker.allow(start + milliseconds(1000)));
  EXPECT_FALSE(breaker.allow(start + milliseconds(1000)));
  EXPECT_EQ(breaker.failure(start + milliseconds(1100)), CircuitBreaker::Change::kNone);
  EXPECT_FALSE(breaker.allow(start + milliseconds(2000)));
  EXPECT_TRUE(breaker.allow(start + milliseconds(2100)));
  breaker.abandoned();
  EXPECT_TRUE(breaker.allow(start + milliseconds(2100)));
  EXPECT_EQ(breaker.success(), CircuitBreaker::Change::kClosed);
  EXPECT_FALSE(breaker.open());
}

Outcome outcome(double score, const Scoring& scoring = {}) {
  EngineReport report;
  report.findings.symbols.push_back({"S", score, {}, false});
  return decide(std::span(&report, 1), scoring).outcome;
}

TEST(Scoring, ThresholdsAndWeights) {
  EXPECT_EQ(outcome(5.9), Outcome::kAccept);
  EXPECT_EQ(outcome(6), Outcome::kJunk);
  EXPECT_EQ(outcome(15), Outcome::kRefuse);
  EXPECT_EQ(outcome(100, {{0, 0, 0}, {}}), Outcome::kAccept) << "0 switches a threshold off";
  EXPECT_EQ(outcome(9, {{6, 8, 15}, {}}), Outcome::kTemporary);
  EXPECT_EQ(outcome(15, {{}, {{"S", -1}}}), Outcome::kAccept) << "configuration replaces the engine's score";
}

TEST(Scoring, ASymbolMayFileIntoJunkWithoutAScore) {
  std::vector<EngineReport> reports(2);
  reports[0].findings.symbols.push_back({"QUARANTINE", 0, {}, false, true});
  reports[1].findings.symbols.push_back({"GOOD", -5, {}, false});
  EXPECT_EQ(decide(reports, {}).outcome, Outcome::kJunk);
  EXPECT_EQ(decide(reports, {{}, {{"QUARANTINE", 3}}}).outcome, Outcome::kAccept) << "a weight makes it a score";
  reports[1].findings.symbols[0].score = 20;
  EXPECT_EQ(decide(reports, {}).outcome, Outcome::kRefuse);
}

TEST(Scoring, PoliciesOfEnginesThatCouldNotLook) {
  std::vector<EngineReport> reports(2);
  reports[0] = {"virus", {}, false, WhenUnchecked::kSkip};
  reports[1].findings.symbols.push_back({"S", 7, {}, false});
  EXPECT_EQ(decide(reports, {}).outcome, Outcome::kJunk);
  EXPECT_EQ(decide(reports, {}).symbols.size(), 1U);
  reports[0].when_unchecked = WhenUnchecked::kTemporary;
  EXPECT_EQ(decide(reports, {}).outcome, Outcome::kTemporary) << "what could not be seen is not filed";
  EXPECT_EQ(decide(reports, {{}, {{"VIRUS", 20}}}).score, 7) << "not checked counts nothing";
  reports[1].findings.refusals.push_back({"LOOP", 554, "5.4.6", "loop"});
  EXPECT_EQ(decide(reports, {}).outcome, Outcome::kRefuse) << "no need to come again";
}

}  // namespace
}  // namespace merpati::filter
