// Loops: one single-threaded io_context for each core. A session lives on one of them and needs no lock.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "merpati/base/clock.hpp"

namespace merpati::runtime {

namespace asio = boost::asio;

/// Owns the io_contexts and their threads. All methods are thread safe once start() has returned.
class Loops {
 public:
  /// `count` 0: one for each core.
  explicit Loops(std::size_t count = 0);
  ~Loops();  ///< stops and joins
  Loops(const Loops&) = delete;
  Loops& operator=(const Loops&) = delete;

  std::size_t size() const { return loops_.size(); }
  asio::io_context& context(std::size_t index) { return loops_[index]->context; }
  asio::any_io_executor executor(std::size_t index) { return loops_[index]->context.get_executor(); }
  /// Loop 0: where modules start and stop.
  asio::any_io_executor main() { return executor(0); }
  /// Takes turns.
  asio::any_io_executor next() { return executor(turn_.fetch_add(1, std::memory_order_relaxed) % loops_.size()); }
  /// The index of the loop whose thread calls, or SIZE_MAX when another thread does.
  static std::size_t current();

  void start();
  /// Ends the loops after the handlers in hand; pending operations are abandoned.
  void stop();
  /// How long ago the slowest loop last turned. Loops turn at least every second.
  std::chrono::nanoseconds longest_silence() const;

 private:
  struct Loop {
    asio::io_context context{1};
    std::thread thread;
    std::atomic<std::int64_t> last_turn{0};
  };
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::atomic<std::size_t> turn_{0};
  bool running_ = false;
};

}  // namespace merpati::runtime
