// The replicas of one backend: who they are (re-resolved), how they do, and which one a call goes to.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "merpati/rpc/network_channel.hpp"
#include "mux_client.hpp"

namespace merpati::rpc {

/// One address. Thread safe.
class Replica : public std::enable_shared_from_this<Replica> {
 public:
  /// `tls` is for Mux, as the options' credentials are for gRPC; null: plain text.
  Replica(std::string address, const NetworkChannelOptions& options, std::shared_ptr<MuxClientTls> tls);

  const std::string& address() const { return address_; }
  std::uint64_t hash() const { return hash_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  /// The connection of the loop that `executor` belongs to, on whose thread this is called; a new one when the last has
  /// ended, though not soon after one that could not be opened: its calls fail. `urgent` (another
  /// replica has failed this call) shortens that pause. Null for an address that is a name.
  std::shared_ptr<MuxClient> mux(const asio::any_io_executor& executor, bool urgent);

  /// Ends the connections, while their loops live: a call that gRPC has not yet ended may hold the replica for longer.
  void close();

  /// The other replicas of the backend: when this one says nothing, they are asked whether they live. If all are
  /// silent, that is known when the first one is given up, and not only after each has been waited for.
  void set_siblings(std::vector<std::weak_ptr<Replica>> siblings);

  std::atomic<int> in_flight{0};
  bool avoided(SteadyTime now) const;
  /// One that answers is not avoided any longer: otherwise the dead one of two that failed would be tried first for
  /// long.
  void succeeded();
  /// After the third failure in a row the replica is avoided, for 1 s and then twice as long each time, up to 4 s: one
  /// call then tries it, and goes elsewhere when that fails. What fails meanwhile is the same failure.
  void failed();

 private:
  struct Link {
    asio::execution_context* loop;
    asio::any_io_executor executor;
    std::shared_ptr<MuxClient> client;
    int failures = 0;  // to open a connection, in a row
  };
  std::shared_ptr<grpc::Channel> connect() const;
  void ask_siblings(const asio::any_io_executor& executor);
  const std::string address_;
  const std::uint64_t hash_;
  const NetworkChannelOptions options_;
  const std::shared_ptr<MuxClientTls> tls_;
  const std::optional<asio::ip::tcp::endpoint> endpoint_;
  const std::shared_ptr<grpc::Channel> channel_;
  std::atomic<int> failures_{0};
  std::atomic<std::int64_t> avoid_until_{0};  // because it failed
  std::atomic<std::int64_t> drain_until_{0};  // because it said that it is draining
  std::mutex mutex_;
  std::vector<Link> links_;
  std::vector<std::weak_ptr<Replica>> siblings_;
};

/// Resolves, and balances each call. Thread safe.
class Replicas {
 public:
  explicit Replicas(NetworkChannelOptions options);
  ~Replicas();

  /// The replica that the account prefers, or the next one when that is overloaded, avoided or in `not_these`; null
  /// when none is known.
  std::shared_ptr<Replica> pick(std::int64_t account_id, const std::vector<std::shared_ptr<Replica>>& not_these);
  std::vector<std::shared_ptr<Replica>> all();

 private:
  using List = std::vector<std::shared_ptr<Replica>>;
  void resolve();
  void run();

  const NetworkChannelOptions options_;
  std::shared_ptr<MuxClientTls> tls_;
  bool has_names_ = false;
  bool said_unresolved_ = false;  ///< only resolve() touches it, which is never run twice at once
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::shared_ptr<const List> list_;
  std::vector<std::shared_ptr<Replica>> left_;  ///< no longer in list_, calls in flight; only resolve() touches it
  std::thread resolver_;
};

}  // namespace merpati::rpc
