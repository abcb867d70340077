// Process: loops, blocking pool, metrics, health, HTTP for probes, modules, signals and the stop in two phases.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "merpati/runtime/health.hpp"
#include "merpati/runtime/loops.hpp"
#include "merpati/runtime/metrics.hpp"
#include "merpati/runtime/module.hpp"

namespace merpati::runtime {

class HttpServer;

struct ProcessOptions {
  std::string name = "merpati";  ///< for logs
  std::size_t loops = 0;         ///< 0: one for each core
  std::size_t blocking_threads = 8;
  std::chrono::nanoseconds grace_period = std::chrono::seconds(30);
  std::chrono::nanoseconds endpoint_delay = std::chrono::seconds(5);
  std::string http_address = "::";
  std::optional<std::uint16_t> http_port;  ///< none: no HTTP (tests); 0: any free port
};

class Process {
 public:
  explicit Process(ProcessOptions options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  Loops& loops() { return loops_; }
  asio::thread_pool& blocking() { return blocking_; }
  Metrics& metrics() { return metrics_; }
  Health& health() { return health_; }
  const ProcessOptions& options() const { return options_; }
  std::uint16_t http_port() const;

  /// Modules start in the order of their addition and stop in reverse. Before start() only.
  void add(std::unique_ptr<Module> module);

  /// Starts everything, waits for SIGTERM or SIGINT, drains and stops. Returns the exit code: 0, or 1 when a module did
  /// not start. A second signal ends the process at once.
  int run();

  /// What run() does, in pieces, for tests and for programs that stop otherwise. Blocking: never from a loop's thread.
  Result<void> start();
  void stop();
  /// Makes run() return. Any thread, also a signal handler's.
  void request_stop();

 private:
  void export_metrics();
  Result<void> start_modules();
  void drain_modules(Deadline deadline);
  void stop_modules();

  ProcessOptions options_;
  Metrics metrics_;
  Health health_;
  Loops loops_;
  asio::thread_pool blocking_;
  std::vector<std::unique_ptr<Module>> modules_;
  std::size_t started_ = 0;  ///< modules whose start() was called
  std::unique_ptr<HttpServer> http_;
  std::shared_ptr<void> scrape_;  ///< the process's own metrics
  bool stopped_ = true;
  int wake_[2] = {-1, -1};  ///< a pipe: request_stop() writes, run() reads
};

/// Awaits `task` on `executor` from a thread that is no loop's. For main, tests and tools.
template <class T>
Result<T> block_on(asio::any_io_executor executor, Task<T> task);

}  // namespace merpati::runtime

#include "merpati/runtime/detail/block_on.hpp"
