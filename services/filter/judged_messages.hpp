// JudgedMessages: outcomes on their way into reputations. Nobody's answer waits for them; one statement takes all that
// came while the last one was under way.
#pragma once

#include <deque>
#include <mutex>

#include "filter/reputation.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

class JudgedMessages {
 public:
  /// `memory` outlives it. More than `max_waiting` are not counted.
  JudgedMessages(ReputationMemory& memory, std::chrono::seconds half_life, runtime::Metrics& metrics,
                 std::size_t max_waiting = 20'000);

  /// Any thread; never waits. One whose delivery id is no UUID, or that may come again (kTemporary), is left out.
  void add(JudgedMessage message);
  /// Counts until it is cancelled.
  asio::awaitable<void> run();
  /// Counts what waits, once, when run() has ended.
  Task<void> flush();

 private:
  std::vector<JudgedMessage> take();
  void give_back(std::vector<JudgedMessage> batch);

  ReputationMemory& memory_;
  const std::chrono::seconds half_life_;
  const std::size_t max_waiting_;
  std::mutex mutex_;
  std::deque<JudgedMessage> waiting_;
  Wakeup news_;
  runtime::Counter counted_, lost_;
};

}  // namespace merpati::filter
