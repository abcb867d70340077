// Home: the pool's part that lives on one loop: its connections, what waits for them, and the circuit breaker.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <deque>
#include <random>
#include <vector>

#include "connection.hpp"
#include "merpati/pg/pool.hpp"
#include "probe.hpp"

namespace merpati::pg {

/// Shared by the homes of one pool.
struct PoolShared {
  PoolOptions options;
  std::string server_options;      // "-c name=value ..."
  asio::thread_pool connector{2};  // name lookup, TLS and SCRAM of a new connection would stop a loop
  asio::thread_pool asker{2};      // the probe's, which must not wait behind connections that are not answered
  Prober prober;
  std::atomic<std::uint64_t> queries{0}, failures{0}, conflicts{0}, connects{0}, connect_failures{0};
  std::atomic<bool> pooler_checked{false};
  std::atomic<std::size_t> connections{0}, in_flight{0}, waiting{0};
};

class Home : public std::enable_shared_from_this<Home> {
 public:
  Home(asio::any_io_executor loop, std::shared_ptr<PoolShared> shared);

  const asio::any_io_executor& loop() const { return loop_; }
  /// On the loop.
  void submit(std::shared_ptr<Op> op);
  void close();
  /// Any thread.
  bool available() const { return !broken_.load(std::memory_order_relaxed); }

 private:
  struct LaneState {
    std::deque<std::shared_ptr<Op>> waiting;
    std::vector<std::shared_ptr<Connection>> connections;
    int connecting = 0;
  };
  LaneState& lane(Lane which) { return lanes_[static_cast<int>(which)]; }
  int limit(Lane which) const;
  std::size_t depth(Lane which) const;
  void pump(Lane which);
  void connect(Lane which);
  /// On a thread that may block.
  Result<Handle> open();
  void connected(Lane which, Result<Handle> result);
  void lost(Lane which, Connection* connection, const Error& why);
  void repeat(std::shared_ptr<Op> op);
  void break_circuit(const Error& why);
  void fail_waiting(const Error& why);
  void ask_whether_alive();
  void fall_silent(const Error& why);
  void sweep();
  void start_sweeping();
  std::chrono::milliseconds jittered(std::chrono::milliseconds upto);
  void count();

  asio::any_io_executor loop_;
  std::shared_ptr<PoolShared> shared_;
  LaneState lanes_[2];
  asio::steady_timer sweep_timer_;
  asio::steady_timer retry_timer_;
  bool sweeping_ = false;
  bool asking_ = false;
  int quiet_sweeps_ = 0;  // since the server said something on any connection
  bool closed_ = false;
  std::atomic<bool> broken_{false};
  Error broken_why_;
  std::chrono::milliseconds backoff_{0};
  std::minstd_rand random_;
  std::size_t counted_connections_ = 0, counted_in_flight_ = 0, counted_waiting_ = 0;
};

}  // namespace merpati::pg
