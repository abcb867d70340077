// Calls that travel as gRPC calls of their own.
#pragma once

#include <grpcpp/generic/generic_stub.h>

#include "merpati/rpc/service.hpp"

namespace merpati::rpc {

Task<void> plain_unary(grpc::GenericStub& stub, const Method& method, const MessageLite& request, MessageLite& response,
                       const CallOptions& options);
/// `on_end` runs once, when the call has ended; `failed` says that the replica could not be reached.
std::shared_ptr<Stream> plain_stream(grpc::GenericStub& stub, const Method& method, const CallOptions& options,
                                     std::function<void(const grpc::Status&)> on_end);

}  // namespace merpati::rpc
