// Sender: leases what is due, spreads it over workers by destination, and writes what became of it.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "merpati/base/task.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/runtime/metrics.hpp"
#include "merpati/trace/recorder.hpp"
#include "queue/backoff.hpp"
#include "queue/local_delivery.hpp"
#include "queue/remote_delivery.hpp"
#include "queue/repository.hpp"

namespace merpati::queue {

struct SenderConfig {
  int parallel = 100;  ///< items in hand
  int parallel_per_destination = 10;
  RetryPolicy retry;
  std::chrono::nanoseconds give_up = std::chrono::hours(120);  ///< an item's whole life
  std::chrono::nanoseconds lease = std::chrono::seconds(60);
  std::chrono::nanoseconds keep_blobs = std::chrono::hours(144);  ///< of what scripts send on
  std::string hostname;
  RemoteConfig remote;
};

/// Lives on one loop; every method but wake() is called there.
class Sender {
 public:
  Sender(asio::any_io_executor loop, Repository& repository, dns::Resolver& resolver,
         std::shared_ptr<rpc::Channel> auth, std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> filter,
         SenderConfig config, runtime::Metrics& metrics, trace::Recorder* events);

  void start();
  /// This process made something due: it is sent here, or, while this replica has all hands full, by another. Any
  /// thread.
  void wake() {
    news_ = true;
    wakeup_.notify();
  }
  /// Something may be due. Any thread.
  void look() { wakeup_.notify(); }
  /// Leases nothing more and waits for what is in hand.
  Task<void> drain(Deadline deadline);
  /// Cancels what is left, joins it, and gives its leases back.
  Task<void> stop();

 private:
  struct Destination {
    std::deque<Job> waiting;
    int workers = 0;
  };

  asio::awaitable<void> lease_loop();
  asio::awaitable<void> heartbeat_loop();
  asio::awaitable<void> worker(std::string domain);
  Task<bool> lease_some();
  asio::awaitable<void> tell_others();
  void take(std::vector<Job> jobs);
  std::vector<std::string> busy() const;
  Task<void> run(Job& job, RemoteDelivery& remote);
  Task<void> finish(Job& job, std::vector<Outcome> outcomes, Content* content);
  Finish finish_of(const LeasedItem& item, Outcome& outcome);
  void forget(const Job& job);
  void tell(const Message& message, const LeasedItem& item, const Outcome& outcome);
  void tell_bounced(const Message& message, const std::string& bounce_id, std::size_t recipients);

  asio::any_io_executor loop_;
  Repository& repository_;
  dns::Resolver& resolver_;
  std::shared_ptr<rpc::Channel> store_;
  LocalDelivery local_;
  SenderConfig config_;
  TaskGroup tasks_;
  Wakeup wakeup_;
  std::map<std::string, Destination> destinations_;
  std::unordered_map<std::int64_t, std::int64_t> in_hand_;  ///< item to lease number
  bool draining_ = false;
  std::atomic<bool> news_ = false;
  SteadyTime last_notice_;
  runtime::Counter delivered_, deferred_, failed_, bounces_;
  runtime::Gauge in_hand_gauge_;
  runtime::Histogram remote_seconds_;
  trace::Recorder* const events_;  ///< null: no events of messages' lives are kept
};

}  // namespace merpati::queue
