// What a server's reactors share.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "merpati/rpc/server.hpp"

namespace merpati::rpc {

/// A Mux stream as the server sees it.
class MuxStream {
 public:
  virtual ~MuxStream() = default;
  virtual void announce_draining() = 0;
};

struct ServerShared {
  ServerShared(Dispatcher& d, ServerOptions o) : dispatcher(d), options(std::move(o)) {}

  Dispatcher& dispatcher;
  const ServerOptions options;
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> calls{0};  ///< handlers that run, and answers that are not out

  asio::any_io_executor next_loop() { return options.loops[turn.fetch_add(1) % options.loops.size()]; }

  void add(std::shared_ptr<MuxStream> stream) {
    std::lock_guard lock(mutex);
    muxes.insert(std::move(stream));
  }
  void remove(const std::shared_ptr<MuxStream>& stream) {
    std::lock_guard lock(mutex);
    muxes.erase(stream);
  }

  std::atomic<std::size_t> turn{0};
  std::mutex mutex;
  std::unordered_set<std::shared_ptr<MuxStream>> muxes;
};

/// One call of any of the four kinds.
grpc::ServerGenericBidiReactor* start_call(std::shared_ptr<ServerShared> shared, const Dispatcher::Entry& entry,
                                           grpc::GenericCallbackServerContext* context, Role role);
/// A stream of merpati.rpc.v1.Mux/Run.
grpc::ServerGenericBidiReactor* start_mux(std::shared_ptr<ServerShared> shared,
                                          grpc::GenericCallbackServerContext* context, Role role);

/// The value after "Bearer " of the metadata key "authorization", or empty.
std::string bearer_token(const grpc::ServerContextBase& context);
/// The trace id in the metadata key "traceparent" (W3C trace context), or empty.
std::string trace_id(const grpc::ServerContextBase& context);

}  // namespace merpati::rpc
