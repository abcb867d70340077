// ScannerLink: connections to a program that scans mail (clamd, Rspamd): "host:port", or the path of its socket.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>
#include <string>
#include <vector>

#include "filter/scan_slots.hpp"
#include "merpati/base/guarded.hpp"
#include "merpati/base/task.hpp"

namespace merpati::filter {

/// Thread safe. No wait here has a time of its own: whoever calls is cancelled at the engine's deadline.
class ScannerLink {
 public:
  using Socket = asio::generic::stream_protocol::socket;
  /// A connection, and the place among the scans that it takes.
  struct Connection {
    std::unique_ptr<Socket> socket;
    ScanSlots::Place place;
  };

  static bool is_address(std::string_view address);
  /// kInvalidArgument when `address` is neither a path nor host:port.
  static Result<std::shared_ptr<ScannerLink>> make(std::string address, std::size_t most_at_once,
                                                   asio::thread_pool& blocking);

  const std::string& address() const { return address_; }
  /// Waits while too many scans are under way. kUnavailable when nobody answers; a host with several addresses is tried
  /// one after the other, beginning with another one each time.
  Task<Connection> connect();
  /// A connection that takes no place, to ask whether the program is there.
  Task<std::unique_ptr<Socket>> open();

 private:
  using Endpoint = asio::generic::stream_protocol::endpoint;
  ScannerLink(std::string address, std::size_t most_at_once, asio::thread_pool& blocking)
      : address_(std::move(address)), slots_(most_at_once), blocking_(blocking) {}
  Task<std::vector<Endpoint>> endpoints();

  struct Resolved {
    std::vector<Endpoint> endpoints;
    SteadyTime at{};
    std::size_t turn = 0;
  };
  const std::string address_;
  ScanSlots slots_;
  asio::thread_pool& blocking_;
  Guarded<Resolved> resolved_;
};

/// Whole `bytes`. kUnavailable when the peer is gone.
Task<void> write_all(ScannerLink::Socket& socket, std::string_view bytes);
/// What there is, 0 octets at the end.
Task<std::size_t> read_some(ScannerLink::Socket& socket, char* into, std::size_t most);

}  // namespace merpati::filter
