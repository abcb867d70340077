// Calls that travel as gRPC calls of their own.
#pragma once

#include <grpcpp/channel.h>

#include "merpati/rpc/service.hpp"
#include "mux_client.hpp"

namespace merpati::rpc {

Task<void> plain_unary(const std::shared_ptr<grpc::Channel>& channel, const Method& method, const MessageLite& request,
                       MessageLite& response, const CallOptions& options);
class PlainStream : public Stream, public SilenceListener {};
/// `on_end` runs once, when the call has ended.
std::shared_ptr<PlainStream> plain_stream(const std::shared_ptr<grpc::Channel>& channel, const Method& method,
                                          const CallOptions& options, std::function<void(const grpc::Status&)> on_end);

}  // namespace merpati::rpc
