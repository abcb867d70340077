#include "filter/dmarc_counts.hpp"

#include "merpati/pg/sqlstate.hpp"
#include "merpati/runtime/seldom.hpp"

namespace merpati::filter {
namespace {
constexpr std::size_t kBatch = 500;
constexpr auto kWrite = std::chrono::seconds(30);
constexpr auto kLook = std::chrono::milliseconds(10);

std::int32_t day_of(WallTime at) {
  return static_cast<std::int32_t>(std::chrono::floor<std::chrono::days>(at).time_since_epoch().count());
}
}  // namespace

DmarcCounts::DmarcCounts(DmarcMemory& memory, runtime::Metrics& metrics, std::size_t max_records)
    : memory_(memory), max_records_(max_records) {
  const auto counter = [&](const char* result) {
    return metrics.counter("merpati_filter_dmarc_messages_total", "Messages for DMARC aggregate reports",
                           {{"result", result}});
  };
  counted_ = counter("counted");
  left_out_ = counter("left_out");
  lost_ = counter("lost");
}

void DmarcCounts::add(const DmarcObservation& observation, WallTime at) {
  Key key{day_of(at), observation.domain, to_text(observation.record)};
  std::string request = to_text(observation.request);
  std::lock_guard lock(mutex_);
  const auto found = waiting_.find(key);
  if (found == waiting_.end() && waiting_.size() >= max_records_) {
    left_out_.add();
    return;
  }
  Value& value = found == waiting_.end() ? waiting_[std::move(key)] : found->second;
  value.request = std::move(request);
  ++value.messages;
}

DmarcCounts::Waiting DmarcCounts::take() {
  std::lock_guard lock(mutex_);
  ++begun_;
  return std::exchange(waiting_, {});
}

/// What was added meanwhile has a newer request.
void DmarcCounts::give_back(Waiting waiting) {
  std::lock_guard lock(mutex_);
  for (auto& [key, value] : waiting) {
    const auto [at, fresh] = waiting_.try_emplace(key, value);
    if (!fresh) at->second.messages += value.messages;
  }
}

/// Takes out of `waiting` what is written, or cannot be.
Task<void> DmarcCounts::write(Waiting& waiting, std::chrono::seconds each) {
  while (!waiting.empty()) {
    std::vector<DmarcCount> batch;
    double messages = 0;
    auto end = waiting.begin();
    for (; end != waiting.end() && batch.size() < kBatch; ++end) {
      const auto& [day, domain, record] = end->first;
      batch.push_back({day, domain, end->second.request, record, end->second.messages});
      messages += static_cast<double>(end->second.messages);
    }
    const auto left_out = co_await memory_.count(batch, Deadline::after(each));
    if (left_out.has_value()) {
      left_out_.add(static_cast<double>(*left_out));
      counted_.add(messages - static_cast<double>(*left_out));
    } else if (const auto code = left_out.error().code(); code == ErrorCode::kCancelled || pg::may_pass(code)) {
      co_return left_out.error();
    } else {
      log::error("filter_dmarc_not_counted", left_out.error().describe());
      lost_.add(messages);
    }
    waiting.erase(waiting.begin(), end);
  }
  co_return Result<void>();
}

asio::awaitable<void> DmarcCounts::run(std::chrono::milliseconds pause) {
  for (;;) {
    const auto woken = co_await with_deadline(hurry_.wait(), Deadline::after(pause));
    if (woken.has_error() && woken.error().code() == ErrorCode::kCancelled) co_return;
    Waiting waiting = take();
    const auto done = co_await write(waiting, kWrite);
    if (done.has_error()) {
      give_back(std::move(waiting));
      if (done.error().code() == ErrorCode::kCancelled) co_return;
      static log::Seldom seldom(std::chrono::minutes(1));
      seldom.warning("filter_dmarc_not_counted", done.error().describe());
      continue;
    }
    std::lock_guard lock(mutex_);
    done_ = begun_;
  }
}

bool DmarcCounts::written(std::uint64_t round) {
  std::lock_guard lock(mutex_);
  return done_ >= round;
}

Task<void> DmarcCounts::settle(Deadline deadline) {
  std::uint64_t round = 0;
  {
    std::lock_guard lock(mutex_);
    // What waits now goes with the next round, whichever is under way.
    round = begun_ + 1;
  }
  while (!written(round)) {
    if (deadline.passed()) co_return Error(ErrorCode::kDeadlineExceeded, "counts of DMARC results are not written yet");
    hurry_.notify();
    MERPATI_CO_CHECK(co_await sleep_for(kLook));
  }
  co_return Result<void>();
}

Task<void> DmarcCounts::flush() {
  Waiting waiting = take();
  co_return co_await write(waiting, std::chrono::seconds(1));
}

}  // namespace merpati::filter
