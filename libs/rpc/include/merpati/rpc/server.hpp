// Server: a Dispatcher on the network, with mutual TLS: gRPC's calls and our own Mux on one port.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "merpati/rpc/credentials.hpp"
#include "merpati/rpc/dispatcher.hpp"

namespace merpati::rpc {

struct ServerOptions {
  std::string address = "[::]:50051";        ///< port 0 takes a free one
  std::optional<Credentials> credentials;    ///< none: plain text, for tests on loopback only
  Role role_without_tls = Role::kAnonymous;  ///< who callers are when there are no credentials
  bool allow_anonymous = false;              ///< accept TLS clients without a certificate (admin)
  std::vector<asio::any_io_executor> loops;  ///< handlers run there, each call on one; never empty
  int max_message_bytes = 4 << 20;           ///< of one request or stream message, on purpose gRPC's own default
  std::size_t max_calls = 20'000;            ///< in flight over all connections; more are refused with kUnavailable
  std::size_t max_mux_connections = 4096;    ///< one for each loop of each caller; more are cut
  std::uint32_t mux_calls = 4096;            ///< in flight on one Mux connection
  std::uint64_t mux_bytes = 16 << 20;        ///< of requests in flight, and of replies that wait, on one Mux connection
  /// A connection that says nothing for so long is cut; as long again for Mux's handshake.
  std::chrono::nanoseconds greeting_timeout = std::chrono::seconds(5);
};

/// Stop in two phases: drain() tells callers to go elsewhere and lets calls finish, stop() cancels what is left.
class Server {
 public:
  Server(Dispatcher& dispatcher, ServerOptions options);
  ~Server();  ///< stop() first, from a coroutine on one of the loops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// kUnavailable when the address cannot be bound or a file cannot be read.
  Result<void> start();
  std::uint16_t port() const;
  /// The port closes, health says NOT_SERVING, Mux connections announce it; returns when no call is in flight, or at
  /// the deadline.
  Task<void> drain(Deadline deadline);
  /// Cancels what is left and joins it.
  Task<void> stop();
  std::size_t calls_in_flight() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace merpati::rpc
