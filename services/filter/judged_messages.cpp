#include "filter/judged_messages.hpp"

#include <algorithm>
#include <iterator>

#include "merpati/base/ids.hpp"
#include "merpati/pg/sqlstate.hpp"
#include "merpati/runtime/seldom.hpp"

namespace merpati::filter {
namespace {
constexpr std::size_t kBatch = 500;
constexpr auto kPause = std::chrono::seconds(1);  // after a failure
constexpr auto kWrite = std::chrono::seconds(30);

}  // namespace

JudgedMessages::JudgedMessages(ReputationMemory& memory, std::chrono::seconds half_life, runtime::Metrics& metrics,
                               std::size_t max_waiting)
    : memory_(memory), half_life_(half_life), max_waiting_(max_waiting) {
  const auto counter = [&](const char* result) {
    return metrics.counter("merpati_filter_reputation_messages_total",
                           "Messages whose outcome was to count for their senders", {{"result", result}});
  };
  counted_ = counter("counted");
  lost_ = counter("lost");
}

void JudgedMessages::add(JudgedMessage message) {
  if (message.outcome == Outcome::kTemporary || !is_uuid(message.delivery_id)) return;
  {
    std::lock_guard lock(mutex_);
    if (waiting_.size() >= max_waiting_) {
      lost_.add();
      return;
    }
    waiting_.push_back(std::move(message));
    if (waiting_.size() > 1) return;
  }
  news_.notify();
}

std::vector<JudgedMessage> JudgedMessages::take() {
  std::lock_guard lock(mutex_);
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(kBatch, waiting_.size()));
  std::vector<JudgedMessage> batch(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  return batch;
}

void JudgedMessages::give_back(std::vector<JudgedMessage> batch) {
  std::lock_guard lock(mutex_);
  waiting_.insert(waiting_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
}

asio::awaitable<void> JudgedMessages::run() {
  for (;;) {
    if ((co_await news_.wait()).has_error()) co_return;
    for (auto batch = take(); !batch.empty(); batch = take()) {
      const auto done = co_await memory_.count(batch, half_life_, Deadline::after(kWrite));
      if (done.has_value()) {
        counted_.add(static_cast<double>(batch.size()));
        continue;
      }
      static log::Seldom seldom(std::chrono::minutes(1));
      const bool cancelled = done.error().code() == ErrorCode::kCancelled;
      if (!cancelled) seldom.warning("filter_reputation_not_counted", done.error().describe());
      if (cancelled || pg::may_pass(done.error().code())) {
        give_back(std::move(batch));  // a delivery that was counted after all is not counted twice
      } else {
        lost_.add(static_cast<double>(batch.size()));
      }
      if (cancelled || (co_await sleep_for(kPause)).has_error()) co_return;
    }
  }
}

Task<void> JudgedMessages::flush() {
  for (auto batch = take(); !batch.empty(); batch = take()) {
    MERPATI_CO_CHECK(co_await memory_.count(batch, half_life_, Deadline::after(std::chrono::seconds(1))));
    counted_.add(static_cast<double>(batch.size()));
  }
  co_return Result<void>();
}

}  // namespace merpati::filter
