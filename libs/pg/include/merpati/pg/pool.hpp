// Pool: connections to one PostgreSQL, for the loops of one process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/pg/params.hpp"
#include "merpati/pg/rows.hpp"
#include "merpati/pg/statement.hpp"

namespace merpati::pg {

/// What the pool tells while it works, in seconds. Any thread; empty functions are not called.
struct PoolObserver {
  std::function<void(double seconds)> waited;               ///< from query() until the statement was sent
  std::function<void(Lane lane, double seconds)> answered;  ///< from then until the answer
};

struct PoolOptions {
  std::string dsn;     ///< libpq connection string or URI
  std::string schema;  ///< first in search_path; empty: the server's default
  std::string application_name = "merpati";
  int read_connections = 2;   ///< for each loop, opened when needed
  int write_connections = 4;  ///< for each loop, opened when needed
  int read_depth = 32;        ///< statements in flight on one connection
  int write_depth = 4;
  std::size_t max_waiting = 8192;  ///< for each loop and lane; more is kResourceExhausted
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds statement_timeout{30000};
  std::map<std::string, std::string> settings;  ///< further server settings of each connection
  PoolObserver observer;
};

/// True of an error that a statement got because its connection was lost while it ran: it may have been committed. A
/// mutation with a request id is repeated until that is known; others must not be.
bool outcome_unknown(const Error& error);

struct PoolStats {
  std::size_t connections = 0;
  std::size_t in_flight = 0;
  std::size_t waiting = 0;  ///< for a free place on a connection
  std::uint64_t queries = 0;
  std::uint64_t failures = 0;   ///< answered with an error
  std::uint64_t conflicts = 0;  ///< repeated after a serialization failure or deadlock
  std::uint64_t connects = 0;
  std::uint64_t connect_failures = 0;
};

class Pool {
 public:
  /// `loops`: executors of single-threaded io_contexts. A query awaited on one of them uses that loop's connections
  /// without crossing a thread; one awaited anywhere else hops to one of them and back.
  Pool(std::vector<asio::any_io_executor> loops, PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Runs one statement as one transaction. Thread safe. Errors: the SQLSTATE table; kUnavailable at once when
  /// PostgreSQL is known to be gone (a connection lost with the statement in flight also gives kUnavailable: whether it
  /// was committed is then unknown, so mutations carry a request id); kResourceExhausted when too many wait;
  /// kDeadlineExceeded; kCancelled. A write that was already sent may be committed although its caller gave up.
  /// Serialization failures and deadlocks are repeated inside. `statement` must live until the query ends: make it
  /// static.
  Task<Rows> query(const Statement& statement, Params params = {}, Deadline deadline = Deadline::never(),
                   Lane lane = Lane::kRead);
  Task<Rows> write(const Statement& statement, Params params = {}, Deadline deadline = Deadline::never()) {
    return query(statement, std::move(params), deadline, Lane::kWrite);
  }

  /// Opens the first connection, so that a wrong DSN shows at the start.
  Task<void> start(Deadline deadline);
  /// Ends every connection; what waits gets kUnavailable. Any thread.
  void close();

  /// False while PostgreSQL cannot be reached.
  bool available() const;
  PoolStats stats() const;
  const PoolOptions& options() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace merpati::pg
