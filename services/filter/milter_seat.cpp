#include "filter/milter_seat.hpp"

#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"

namespace merpati::filter {
namespace {

using milter::Answer;

// What is counted apart; everything else counts as "other".
constexpr std::array kCounted = {Answer::kContinue,  Answer::kAccept,  Answer::kReject, Answer::kTempfail,
                                 Answer::kReplyCode, Answer::kDiscard, Answer::kSkip};

std::size_t place_of(Answer answer) {
  for (std::size_t i = 0; i < kCounted.size(); ++i)
    if (kCounted[i] == answer) return i;
  return kCounted.size();
}

}  // namespace

MilterSeat::MilterSeat(MilterSettings settings, std::shared_ptr<ScannerLink> link, runtime::Metrics& metrics)
    : settings_(std::move(settings)), link_(std::move(link)), breaker_(settings_.breaker) {
  const std::string engine = "milter_" + settings_.name;
  const auto counter = [&](const char* result) {
    return metrics.counter("merpati_filter_engine_checks_total", "Messages that an engine was to check, by result",
                           {{"engine", engine}, {"result", result}});
  };
  checked_ = counter("checked");
  failures_ = counter("failed");
  avoided_ = counter("avoided");
  open_ = metrics.gauge("merpati_filter_engine_avoided", "1 while an engine is left alone because it failed",
                        {{"engine", engine}});
  seconds_ = metrics.histogram("merpati_filter_engine_seconds", "One message in one engine",
                               runtime::Metrics::latency_bounds(), {{"engine", engine}});
  connected_ =
      metrics.gauge("merpati_filter_milter_connections", "SMTP sessions that a milter sees", {{"engine", engine}});
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    const std::string answer = i < kCounted.size() ? std::string(to_string(kCounted[i])) : "other";
    answers_[i] =
        metrics.counter("merpati_filter_milter_answers_total", "Answers of a milter at stages of SMTP dialogs",
                        {{"engine", engine}, {"answer", answer}});
  }
}

Task<std::unique_ptr<milter::Client>> MilterSeat::open() {
  if (connections_.fetch_add(1) >= settings_.max_connections) {
    connections_.fetch_sub(1);
    co_return Error(ErrorCode::kResourceExhausted, "too many SMTP sessions at once");
  }
  if (!breaker_.allow(std::chrono::steady_clock::now())) {
    connections_.fetch_sub(1);
    avoided_.add();
    co_return Error(ErrorCode::kUnavailable, "it is left alone because it failed");
  }
  auto client = co_await connect();
  if (client.has_error()) {
    connections_.fetch_sub(1);
    if (client.error().code() == ErrorCode::kCancelled)
      breaker_.abandoned();
    else
      failed(client.error());
    co_return std::move(client).error();
  }
  // That it settles options is not yet an answer that counts; until there is one, others may try, too.
  breaker_.abandoned();
  connected_.set(connections_.load());
  co_return client;
}

Task<std::unique_ptr<milter::Client>> MilterSeat::connect() {
  const auto deadline = Deadline::after(settings_.timeouts.connect);
  MERPATI_CO_TRY(auto socket, co_await with_deadline(link_->open(), deadline));
  auto client = std::make_unique<milter::Client>(std::move(socket), settings_.timeouts);
  MERPATI_CO_CHECK(co_await client->negotiate());
  co_return client;
}

void MilterSeat::closed() {
  const auto left = connections_.fetch_sub(1) - 1;
  connected_.set(left);
}

void MilterSeat::said(Answer answer, Final final) {
  answers_[place_of(answer)].add();
  if (final == Final::kNo) return;
  checked_.add();
  if (breaker_.success() != CircuitBreaker::Change::kClosed) return;
  open_.set(0);
  log::info("filter_engine_back", "the engine answers again", {{"engine", "milter_" + settings_.name}});
}

void MilterSeat::failed(const Error& error) {
  failures_.add();
  static log::Seldom seldom;
  seldom.warning("filter_milter_failed", error.describe(), {{"milter", settings_.name}});
  if (breaker_.failure(std::chrono::steady_clock::now()) != CircuitBreaker::Change::kOpened) return;
  open_.set(1);
  log::warning("filter_engine_avoided", error.describe(), {{"engine", "milter_" + settings_.name}});
}

}  // namespace merpati::filter
