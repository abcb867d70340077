// What a server's calls and connections share.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "merpati/rpc/server.hpp"
#include "mux_tls.hpp"

namespace merpati::rpc {

/// A Mux connection as the server sees it. Any thread.
class MuxPeer {
 public:
  virtual ~MuxPeer() = default;
  virtual void announce_draining() = 0;
  virtual void abort() = 0;
};

struct ServerShared {
  ServerShared(Dispatcher& d, ServerOptions o) : dispatcher(d), options(std::move(o)) {}

  Dispatcher& dispatcher;
  const ServerOptions options;
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> calls{0};  ///< handlers that run, and answers that are not out

  asio::any_io_executor next_loop() { return options.loops[turn.fetch_add(1) % options.loops.size()]; }

  void add(std::shared_ptr<MuxPeer> peer) {
    std::lock_guard lock(mutex);
    muxes.insert(std::move(peer));
  }
  void remove(const std::shared_ptr<MuxPeer>& peer) {
    std::lock_guard lock(mutex);
    muxes.erase(peer);
  }
  std::vector<std::shared_ptr<MuxPeer>> all_muxes() {
    std::lock_guard lock(mutex);
    return {muxes.begin(), muxes.end()};
  }
  std::size_t mux_count() {
    std::lock_guard lock(mutex);
    return muxes.size();
  }

  std::atomic<std::size_t> turn{0};
  std::mutex mutex;
  std::unordered_set<std::shared_ptr<MuxPeer>> muxes;
};

/// One call of any of the four kinds.
grpc::ServerGenericBidiReactor* start_call(std::shared_ptr<ServerShared> shared, const Dispatcher::Entry& entry,
                                           grpc::GenericCallbackServerContext* context, Role role);
/// A Mux connection whose preamble has been read; `tls` null: plain text.
void start_mux(std::shared_ptr<ServerShared> shared, asio::ip::tcp::socket socket, std::shared_ptr<MuxServerTls> tls);

/// The value after "Bearer " of the metadata key "authorization", or empty.
std::string bearer_token(const grpc::ServerContextBase& context);
/// The trace in the metadata key "traceparent" (W3C trace context), in the form of runtime/span.hpp, or empty.
std::string trace_id(const grpc::ServerContextBase& context);

}  // namespace merpati::rpc
