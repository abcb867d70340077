// A channel to another process: own resolution of replicas, balancing for each call, retries, Mux.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "merpati/rpc/channel.hpp"
#include "merpati/rpc/credentials.hpp"

namespace merpati::rpc {

struct NetworkChannelOptions {
  std::string target;                      ///< "host:port" or several with commas; a host may have many addresses
  std::optional<Credentials> credentials;  ///< none: plain text, for tests on loopback only
  Role server_role = Role::kAnonymous;     ///< the role that the server's certificate must have
  /// Whether each address is a replica to balance over. False, for clients from outside: the addresses are ways to one
  /// service (localhost may be ::1 and 127.0.0.1), and gRPC takes the first that answers; one host in `target`.
  bool balance = true;
  /// Unary calls travel in batches on one connection for each loop and replica. Callers then run on loops of one thread
  /// each, which outlive the channel. Only with `balance`.
  bool mux = true;
  std::chrono::nanoseconds unary_timeout = std::chrono::seconds(30);  ///< for calls without a deadline
  std::chrono::nanoseconds resolve_every = std::chrono::seconds(5);
  int max_message_bytes = 4 << 20;
  /// A plain connection that says nothing for so long is asked by a ping (RFC 9113 6.7), at most once a second, and
  /// given up `ping_timeout` later. Mux finds silence sooner; short times are for who does without it.
  std::chrono::milliseconds ping_after = std::chrono::seconds(20);
  std::chrono::milliseconds ping_timeout = std::chrono::seconds(5);
  int max_attempts = 3;  ///< of an idempotent call, within the retry budget
  /// From a call's start; after it no replica is asked twice: one that says nothing is not waited for again.
  std::chrono::nanoseconds same_again_within = std::chrono::milliseconds(500);
};

/// Resolves once before it returns; a host that cannot be resolved now is tried again, calls answer kUnavailable
/// meanwhile.
std::shared_ptr<Channel> network_channel(NetworkChannelOptions options);

}  // namespace merpati::rpc
