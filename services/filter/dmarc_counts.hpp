// DmarcCounts: what was observed on its way into DmarcMemory. No message waits for it: what is alike is added up here,
// and written every few seconds.
#pragma once

#include <map>
#include <mutex>
#include <tuple>

#include "filter/dmarc_observation.hpp"
#include "filter/dmarc_store.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

class DmarcCounts {
 public:
  /// `memory` outlives it. What would need more than `max_records` between two writes is left out.
  DmarcCounts(DmarcMemory& memory, runtime::Metrics& metrics, std::size_t max_records = 20'000);

  /// Any thread; never waits.
  void add(const DmarcObservation& observation, WallTime at = WallTime::clock::now());
  /// Writes every `pause`, until it is cancelled.
  asio::awaitable<void> run(std::chrono::milliseconds pause = std::chrono::seconds(5));
  /// What was added before this is written, by run().
  Task<void> settle(Deadline deadline);
  /// Writes what waits, once, when run() has ended.
  Task<void> flush();

 private:
  using Key = std::tuple<std::int32_t, std::string, std::string>;  // day, domain, record
  struct Value {
    std::string request;
    std::int64_t messages = 0;
  };
  using Waiting = std::map<Key, Value>;

  Task<void> write(Waiting& waiting, std::chrono::seconds each);
  void give_back(Waiting waiting);
  Waiting take();
  bool written(std::uint64_t round);

  DmarcMemory& memory_;
  const std::size_t max_records_;
  std::mutex mutex_;
  Waiting waiting_;
  std::uint64_t begun_ = 0, done_ = 0;  ///< rounds of writing
  Wakeup hurry_;
  runtime::Counter counted_, left_out_, lost_;
};

}  // namespace merpati::filter
