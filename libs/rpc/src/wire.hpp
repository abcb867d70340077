// Between gRPC's types and ours: messages and byte buffers, errors and statuses, deadlines.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <chrono>

#include "merpati/base/clock.hpp"
#include "merpati/base/result.hpp"
#include "merpati/rpc/v1/mux.pb.h"

namespace merpati::rpc {

grpc::ByteBuffer to_buffer(const google::protobuf::MessageLite& message);
Result<void> from_buffer(grpc::ByteBuffer& buffer, google::protobuf::MessageLite& message);

grpc::Status to_status(const Error& error);
Error from_status(const grpc::Status& status);
v1::ErrorDetails details_of(const Error& error);
Error make_error(int code, std::string message, const v1::ErrorDetails& details);

std::chrono::system_clock::time_point to_wall(Deadline deadline);
Deadline from_wall(std::chrono::system_clock::time_point at);

}  // namespace merpati::rpc
