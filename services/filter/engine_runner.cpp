#include "filter/engine_runner.hpp"

#include <iterator>

#include "merpati/base/side_by_side.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {
namespace {
constexpr auto kUntilPing = std::chrono::milliseconds(250);  // of a check, and from one answer to the next ping
constexpr auto kPing = std::chrono::milliseconds(500);
}  // namespace

void EngineRunner::add(std::shared_ptr<Engine> engine, CircuitBreaker::Settings breaker) {
  auto seat = std::make_unique<Seat>(std::move(engine), breaker);
  const std::string name(seat->engine->name());
  const auto counter = [&](const char* result) {
    return metrics_.counter("merpati_filter_engine_checks_total", "Messages that an engine was to check, by result",
                            {{"engine", name}, {"result", result}});
  };
  seat->checked = counter("checked");
  seat->failed = counter("failed");
  seat->avoided = counter("avoided");
  seat->open = metrics_.gauge("merpati_filter_engine_avoided", "1 while an engine is left alone because it failed",
                              {{"engine", name}});
  seat->seconds = metrics_.histogram("merpati_filter_engine_seconds", "One message in one engine",
                                     runtime::Metrics::latency_bounds(), {{"engine", name}});
  seats_of(seat->engine->stage()).push_back(std::move(seat));
}

EngineRunner::Seats& EngineRunner::seats_of(Stage stage) {
  switch (stage) {
    case Stage::kFirst:
      return first_;
    case Stage::kAfterAuthentication:
      return second_;
    case Stage::kAfterScore:
      break;
  }
  return last_;
}

Task<std::vector<EngineReport>> EngineRunner::run(MessageView view, Deadline deadline, RulesOfRecipients recipients) {
  MERPATI_CO_TRY(auto reports, co_await run_stage(first_, view, deadline));
  const auto add = [&reports](std::vector<EngineReport> others) {
    reports.insert(reports.end(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
  };
  bool refused = false;
  for (const EngineReport& report : reports) {
    if (report.findings.authentication) view.authentication = report.findings.authentication.get();
    for (const Refusal& refusal : report.findings.refusals) refused = refused || !refusal.may_be_weighed;
  }
  if (refused) co_return reports;
  MERPATI_CO_TRY(auto others, co_await run_stage(second_, view, deadline));
  add(std::move(others));
  if (last_.empty()) co_return reports;
  const Judgement so_far = judge(reports, recipients, configured_);
  if (so_far.whole.outcome == Outcome::kRefuse || so_far.whole.outcome == Outcome::kDiscard) co_return reports;
  view.greylist = so_far.greylist;
  for (const EngineReport& report : reports) view.known_good = view.known_good || report.findings.known_good;
  MERPATI_CO_TRY(auto last, co_await run_stage(last_, view, deadline));
  add(std::move(last));
  co_return reports;
}

Task<std::vector<EngineReport>> EngineRunner::run_stage(const Seats& seats, const MessageView& view,
                                                        Deadline deadline) {
  std::vector<EngineReport> reports(seats.size());
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < seats.size(); ++i)
    if (!run_now(*seats[i], view, reports[i])) waiting.push_back(i);
  if (waiting.empty()) co_return reports;
  if (waiting.size() == 1) {
    co_await run_one(*seats[waiting[0]], view, deadline, reports[waiting[0]]);
    co_return reports;
  }
  std::vector<asio::awaitable<void>> checks;
  for (const auto i : waiting) checks.push_back(run_one(*seats[i], view, deadline, reports[i]));
  MERPATI_CO_CHECK(co_await run_side_by_side(std::move(checks)));
  co_return reports;
}

/// Fills the report, and returns false when the engine has to be waited for.
bool EngineRunner::run_now(Seat& seat, const MessageView& view, EngineReport& report) {
  report.engine = seat.engine->name();
  report.when_unchecked = seat.engine->settings().when_unchecked;
  const auto start = std::chrono::steady_clock::now();
  auto found = seat.engine->check_now(view);
  if (!found) return false;
  report.findings = *std::move(found);
  measured(seat, start, report);
  seat.checked.add();
  return true;
}

void EngineRunner::measured(Seat& seat, std::chrono::steady_clock::time_point start, EngineReport& report) {
  const auto took = std::chrono::steady_clock::now() - start;
  seat.seconds.observe(std::chrono::duration<double>(took).count());
  report.took = std::chrono::duration_cast<std::chrono::microseconds>(took);
}

/// A scan may take its time, but only while its program answers: kUnavailable when it says nothing.
Task<Findings> EngineRunner::check(Engine& engine, const MessageView& view) {
  using namespace asio::experimental::awaitable_operators;
  if (!engine.is_remote()) co_return co_await engine.wait_for(view);
  co_await asio::this_coro::throw_if_cancelled(false);
  auto winner = co_await (engine.wait_for(view) || fall_silent(engine));
  if (winner.index() == 0) co_return std::get<0>(std::move(winner));
  co_return std::get<1>(std::move(winner)).error();
}

/// Ends, with an error, when the engine's program says nothing.
Task<void> EngineRunner::fall_silent(Engine& engine) {
  co_await asio::this_coro::throw_if_cancelled(false);
  for (;;) {
    MERPATI_CO_CHECK(co_await sleep_for(kUntilPing));
    auto answered = co_await with_deadline(engine.ping(), Deadline::after(kPing));
    if (!answered.has_error()) continue;
    if (answered.error().code() == ErrorCode::kCancelled) co_return std::move(answered).error();
    co_return Error(ErrorCode::kUnavailable, std::string(engine.name()) + " does not answer");
  }
}

/// `report` is one that run_now() began.
asio::awaitable<void> EngineRunner::run_one(Seat& seat, const MessageView& view, Deadline deadline,
                                            EngineReport& report) {
  const EngineSettings settings = seat.engine->settings();
  const auto start = std::chrono::steady_clock::now();
  if (!seat.breaker.allow(start)) {
    seat.avoided.add();
    report.checked = false;
    co_return;
  }
  auto found = co_await with_deadline(check(*seat.engine, view), deadline.within(settings.deadline));
  measured(seat, start, report);
  if (found.has_value()) {
    seat.checked.add();
    report.findings = std::move(*found);
    if (seat.breaker.success() == CircuitBreaker::Change::kClosed) {
      seat.open.set(0);
      log::info("filter_engine_back", "the engine answers again", {{"engine", report.engine}});
    }
    co_return;
  }
  report.checked = false;
  seat.failed.add();
  const bool callers_fault = found.error().code() == ErrorCode::kCancelled || deadline.passed();
  if (callers_fault) {
    seat.breaker.abandoned();
  } else if (seat.breaker.failure(std::chrono::steady_clock::now()) == CircuitBreaker::Change::kOpened) {
    seat.open.set(1);
    log::warning("filter_engine_avoided", found.error().describe(), {{"engine", report.engine}});
  }
}

}  // namespace merpati::filter
