// The caller's end of a Mux stream: one for each loop and replica.
#pragma once

#include <grpcpp/channel.h>

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "merpati/rpc/service.hpp"

namespace merpati::rpc {

/// What became of one attempt: `sent` is false when the call has certainly not reached a handler.
struct Attempt {
  Result<void> result;
  bool sent = true;
};

/// Thread safe; cheapest when used from the loop that it was made for.
class MuxClient {
 public:
  virtual ~MuxClient() = default;
  virtual asio::awaitable<Attempt> call(const Method& method, const MessageLite& request, MessageLite& response,
                                        const CallOptions& options) = 0;
  virtual bool broken() const = 0;
  virtual bool draining() const = 0;
  /// Ends the stream; calls in flight fail. The loop may be destroyed afterwards, though gRPC's threads go on for a
  /// moment.
  virtual void close() = 0;
};

/// Opens the stream; completions run on `loop`.
std::shared_ptr<MuxClient> open_mux(const std::shared_ptr<grpc::Channel>& channel, asio::any_io_executor loop);

}  // namespace merpati::rpc
