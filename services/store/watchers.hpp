// Watchers: who wants to hear of which accounts. A change is told after its commit: to this process's streams at once,
// to other replicas by one coalesced NOTIFY every few milliseconds. A lost notification costs latency, never
// correctness.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"

namespace merpati::store {

class Core;

struct ChangeEvent {
  std::int64_t account = 0;
  std::int64_t mailbox = 0;  ///< 0: the mailbox tree
  std::uint64_t modseq = 0;  ///< 0: it changed, look yourself
};

/// One stream's accounts and the events that wait for it. Thread safe.
class Subscription {
 public:
  struct Batch {
    std::vector<std::pair<std::int64_t, std::uint64_t>> begun;  ///< accounts, each with its request's serial
    std::vector<ChangeEvent> events;
    bool resync = false;    ///< events may have been lost
    bool draining = false;  ///< this replica is about to stop
  };
  virtual ~Subscription() = default;
  /// Once every change of the account is told, `serial` is in a batch, unless it is 0.
  virtual void add(std::int64_t account, std::uint64_t serial) = 0;
  virtual void remove(std::int64_t account) = 0;
  /// Waits for events; several of one mailbox are one.
  virtual Task<Batch> next() = 0;
};

/// Thread safe.
class Watchers {
 public:
  explicit Watchers(Core& core);
  ~Watchers();
  /// Begins to hear other replicas, by LISTEN on a connection of its own, on `loop`.
  void start(asio::any_io_executor loop, std::string session_dsn);
  void stop();
  /// Tells every stream to go elsewhere.
  void drain();

  void changed(std::int64_t account, std::int64_t mailbox, std::uint64_t modseq);
  void tree_changed(std::int64_t account) { changed(account, 0, 0); }
  std::shared_ptr<Subscription> subscribe();
  /// Accounts watched now.
  std::size_t watched() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace merpati::store
