// The port of a server: Mux connections and gRPC clients come in by the same one, told apart by their first octets.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"

namespace merpati::rpc {

class Listener {
 public:
  struct Options {
    std::string address;                       ///< "host:port", "[::]:port"
    std::vector<asio::any_io_executor> loops;  ///< the first accepts; Mux connections go to each in turn
    std::chrono::nanoseconds first_octets = std::chrono::seconds(5);  ///< a client that says nothing for so long is cut
    std::size_t max_undecided = 1024;  ///< connections that have not said yet what they are; more are cut
  };
  /// Each gets a connection; the preamble of Mux has been read. Called on a thread of the loops.
  struct Takers {
    std::function<void(asio::ip::tcp::socket)> mux;
    std::function<void(int socket)> grpc;  ///< takes the descriptor
  };

  Listener(Options options, Takers takers);
  /// stop() first.
  ~Listener();
  /// kUnavailable when the address cannot be bound. Before the loops run, or while they do.
  Result<void> start();
  std::uint16_t port() const;
  /// Closes the port. Who has come in already may still say what it is.
  Task<void> close();
  /// Cuts those, too.
  Task<void> stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace merpati::rpc
