// EventFeed: wakes whoever follows the directory's events, when PostgreSQL says that there are new ones.
#pragma once

#include <atomic>
#include <memory>
#include <set>

#include "merpati/base/guarded.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/pg/listener.hpp"

namespace merpati::auth {

/// Thread safe but for start() and close().
class EventFeed {
 public:
  EventFeed(asio::any_io_executor loop, std::string dsn);
  void start();
  /// Everybody is woken for the last time.
  void close();
  bool closed() const { return closed_; }
  /// This replica is about to stop: streams for other services end, so that they follow another one.
  void drain();
  bool draining() const { return draining_ || closed_; }
  void wake_all();

  /// While it lives its wakeup is notified.
  class Follower {
   public:
    explicit Follower(EventFeed& feed);
    ~Follower();
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;
    /// Until something may have happened, at most `longest`.
    Task<void> wait(std::chrono::nanoseconds longest);

   private:
    friend class EventFeed;
    EventFeed& feed_;
    Wakeup wakeup_;
  };

 private:
  Guarded<std::set<Follower*>> followers_;
  std::atomic<bool> closed_ = false;
  std::atomic<bool> draining_ = false;
  pg::Listener listener_;
};

}  // namespace merpati::auth
