// Runs the engines over a message, stage by stage: side by side, each within its deadline and behind its circuit
// breaker.
#pragma once

#include <memory>
#include <vector>

#include "filter/circuit_breaker.hpp"
#include "filter/engine.hpp"
#include "filter/judgement.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

/// Calls may come from several threads once all engines are added; each call's own executor runs one thing at a time.
class EngineRunner {
 public:
  /// `configured`: by which the last stage's mail is judged that has no recipients with rules of their own.
  explicit EngineRunner(runtime::Metrics& metrics, SharedRules configured = std::make_shared<const Rules>())
      : metrics_(metrics), configured_(std::move(configured)) {}

  /// Before the first run().
  void add(std::shared_ptr<Engine> engine, CircuitBreaker::Settings breaker = {});
  /// A report for each engine that ran or should have, by stage, in the order of add(). What `view` points to must stay
  /// valid until it returns. What all of `recipients` refuse spares the last stage. Fails only with kCancelled.
  Task<std::vector<EngineReport>> run(MessageView view, Deadline deadline, RulesOfRecipients recipients = {});

 private:
  struct Seat {
    Seat(std::shared_ptr<Engine> what, CircuitBreaker::Settings settings)
        : engine(std::move(what)), breaker(settings) {}
    std::shared_ptr<Engine> engine;
    CircuitBreaker breaker;
    runtime::Counter checked, failed, avoided;
    runtime::Gauge open;
    runtime::Histogram seconds;
  };
  using Seats = std::vector<std::unique_ptr<Seat>>;
  Seats& seats_of(Stage stage);
  static Task<std::vector<EngineReport>> run_stage(const Seats& seats, const MessageView& view, Deadline deadline);
  static Task<Findings> check(Engine& engine, const MessageView& view);
  static Task<void> fall_silent(Engine& engine);
  static bool run_now(Seat& seat, const MessageView& view, EngineReport& report);
  static asio::awaitable<void> run_one(Seat& seat, const MessageView& view, Deadline deadline, EngineReport& report);
  static void measured(Seat& seat, std::chrono::steady_clock::time_point start, EngineReport& report);

  runtime::Metrics& metrics_;
  const SharedRules configured_;
  Seats first_, second_, last_;
};

}  // namespace merpati::filter
