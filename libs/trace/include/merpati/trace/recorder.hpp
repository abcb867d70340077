// Recorder: events on their way to where they are kept. One for each service in a process.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/runtime/metrics.hpp"
#include "merpati/trace/v1/trace.pb.h"

namespace merpati::trace {

/// An event of this kind about this trace, at this moment. `trace_id` may be what Context::trace() gave.
v1::Event event(v1::Kind kind, std::string_view trace_id);

class Recorder {
 public:
  /// Writes a batch, or fails as a whole; repeated when the failure may pass.
  using Write = std::function<Task<void>(const std::vector<v1::Event>& batch)>;
  struct Options {
    std::string service;                       ///< "smtp"
    std::string host;                          ///< the replica's name
    std::size_t max_waiting = 20'000;          ///< more are dropped, as are those beyond the next
    std::size_t max_waiting_bytes = 16 << 20;  ///< octets
    std::size_t batch = 500;                   ///< as many, or as many octets as the next says; at least one
    std::size_t batch_bytes = 64 << 10;
    std::chrono::nanoseconds gather = std::chrono::milliseconds(200);  ///< from the first event of a batch
    std::chrono::nanoseconds retry = std::chrono::seconds(1);          ///< between attempts
    int attempts = 5;                                                  ///< then the batch is lost
  };
  Recorder(Options options, runtime::Metrics& metrics, Write write);

  /// Any thread; never waits. Without a trace id of 32 hex digits the event is nobody's and is left out.
  void record(v1::Event event);
  /// Writes until it is cancelled.
  asio::awaitable<void> run();
  /// Writes what waits, once, when run() has ended.
  Task<void> flush();
  std::size_t waiting() const;

 private:
  std::vector<v1::Event> take();
  void give_back(std::vector<v1::Event> batch);
  asio::awaitable<bool> write_out(std::vector<v1::Event> batch, int attempts);

  const Options options_;
  const Write write_;
  mutable std::mutex mutex_;
  std::deque<v1::Event> waiting_;
  std::size_t bytes_ = 0;  ///< of waiting_
  Wakeup news_;
  runtime::Counter written_, dropped_, lost_;
  runtime::Gauge waiting_gauge_;
};

}  // namespace merpati::trace
