// Connection: one libpq connection in pipeline mode on one loop. Lives on that loop's thread.
#pragma once

#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "op.hpp"

namespace merpati::pg {

/// Owns a connection until a Connection takes it, so that one whose loop ends before it arrives is closed all the same.
struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Handle = std::unique_ptr<PGconn, Finish>;

/// Opens a connection; blocks, so it is called on a thread that may.
Result<Handle> open_connection(const std::string& dsn, const std::string& options, const std::string& application_name,
                               std::chrono::milliseconds timeout);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Events {
    std::function<void()> freed;                          ///< a place in the pipeline is free
    std::function<void(std::shared_ptr<Op>)> repeat;      ///< to be sent again (after a conflict)
    std::function<void(Connection*, const Error&)> lost;  ///< called once; every op in flight has been answered
  };
  Connection(asio::any_io_executor loop, Handle connection, Events events);
  ~Connection();

  void start();
  void send(std::shared_ptr<Op> op);
  std::size_t in_flight() const { return flights_.size(); }
  /// Has the server said anything since this was last asked?
  bool heard() { return std::exchange(heard_, false); }
  bool open() const { return connection_ != nullptr; }
  /// Answers everything in flight with `why` and closes; does not call `lost`.
  void close(const Error& why);
  /// When the oldest statement in flight was sent.
  SteadyTime oldest() const { return flights_.empty() ? SteadyTime::max() : flights_.front().op->sent; }
  /// Answers those whose deadline has passed; their results are dropped when they come.
  void expire(SteadyTime now);
  /// As close(), and calls `lost`.
  void fail(const Error& why);

 private:
  void wait_readable();
  void flush();
  void read_results();
  void on_result(PGresult* result);
  void finish_front();

  asio::any_io_executor loop_;
  PGconn* connection_;
  asio::posix::stream_descriptor socket_;
  Events events_;
  bool writing_ = false;
  bool heard_ = false;
  std::unordered_map<std::string, std::string> prepared_;  // statement's name -> name on this connection
  std::uint64_t generation_ = 0;
  struct InFlight {
    std::shared_ptr<Op> op;
    bool preparing = false;
    PGresult* result = nullptr;
    std::string sqlstate;
    std::string message;
    bool failed = false;
  };
  std::deque<InFlight> flights_;
};

}  // namespace merpati::pg
