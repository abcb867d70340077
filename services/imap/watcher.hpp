// Watcher: the one Watch stream of a loop to the store of a cell, for all its sessions there. It tells a session that
// its mailbox moved on, so that NOOP and IDLE cost no call when nothing changed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "imap/probe.hpp"
#include "merpati/base/task.hpp"

namespace merpati::store::v1 {
class StoreClient;
class WatchRequest;
class WatchResponse;
}  // namespace merpati::store::v1

namespace merpati::imap {

/// Used on its loop's thread. Must outlive its subscriptions.
class Watcher {
 public:
  Watcher(asio::any_io_executor executor, std::shared_ptr<store::v1::StoreClient> store, std::string cell,
          const Probe& probe);
  ~Watcher();

  /// One session's interest in one mailbox; ends when destroyed.
  class Subscription {
   public:
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    /// True when the mailbox may have changed since the session saw `modseq`.
    bool may_have_changed(std::uint64_t modseq) const {
      return stale_ || !watcher_.connected_ || known_modseq_ > modseq;
    }
    /// The session has compared with the store just now.
    void compared() { stale_ = !watcher_.told_of(account_); }
    void mark_stale() { stale_ = true; }
    /// Told when something may have changed; empty while the session does not wait.
    void set_wake(std::function<void()> wake) { wake_ = std::move(wake); }

   private:
    friend class Watcher;
    Subscription(Watcher& watcher, std::int64_t account, std::int64_t mailbox)
        : watcher_(watcher), account_(account), mailbox_(mailbox) {}
    void notify(std::uint64_t modseq);

    Watcher& watcher_;
    std::int64_t account_;
    std::int64_t mailbox_;
    std::uint64_t known_modseq_ = 0;
    bool stale_ = true;  // until the first comparison after the store has taken our request
    std::function<void()> wake_;
  };
  std::unique_ptr<Subscription> watch(std::int64_t account, const std::string& token, std::int64_t mailbox);
  /// Wakes every session of the account that waits in a mailbox.
  void wake(std::int64_t account);
  void wake_all();
  /// A renewed token of an account that is watched.
  void renew(std::int64_t account, const std::string& token);

  /// Keeps the stream open until it is cancelled.
  asio::awaitable<void> run();
  bool connected() const { return connected_; }

 private:
  struct Account {
    std::string token;
    std::uint64_t serial = 0;  // of the latest request
    bool begun = false;        // the store tells every change of the account from now on
    std::vector<Subscription*> subscriptions;
  };
  void forget(Subscription* subscription);
  bool told_of(std::int64_t account) const;
  void request(std::int64_t id, Account& account);
  void stop(std::int64_t account);
  void begun(Account& account);
  void handle(const store::v1::WatchResponse& event);
  template <class Stream>
  asio::awaitable<void> read_events(Stream& stream);
  template <class Stream>
  asio::awaitable<void> write_requests(Stream& stream);
  asio::awaitable<void> run_once();

  asio::any_io_executor executor_;
  std::shared_ptr<store::v1::StoreClient> store_;
  const std::string cell_;
  const Probe& probe_;
  std::unordered_map<std::int64_t, Account> accounts_;
  std::deque<store::v1::WatchRequest> outgoing_;
  asio::steady_timer wake_writer_;
  std::uint64_t serial_ = 0;
  bool connected_ = false;
};

}  // namespace merpati::imap
