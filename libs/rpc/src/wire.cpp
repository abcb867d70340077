#include "wire.hpp"

#include <grpcpp/impl/codegen/proto_utils.h>

namespace merpati::rpc {

using google::protobuf::MessageLite;

grpc::ByteBuffer to_buffer(const MessageLite& message) {
  grpc::ByteBuffer buffer;
  bool own = false;
  grpc::GenericSerialize<grpc::ProtoBufferWriter, MessageLite>(message, &buffer, &own);
  return buffer;
}

Result<void> from_buffer(grpc::ByteBuffer& buffer, MessageLite& message) {
  if (!grpc::GenericDeserialize<grpc::ProtoBufferReader, MessageLite>(&buffer, &message).ok())
    return Error(ErrorCode::kInvalidArgument, "malformed message");
  return {};
}

v1::ErrorDetails details_of(const Error& error) {
  v1::ErrorDetails details;
  details.set_public_text(error.public_text());
  details.set_enhanced_status(error.enhanced_status());
  details.set_without_retry(!error.may_retry());
  return details;
}

grpc::Status to_status(const Error& error) {
  return grpc::Status(static_cast<grpc::StatusCode>(error.code()), error.message(),
                      details_of(error).SerializeAsString());
}

Error make_error(int code, std::string message, const v1::ErrorDetails& details) {
  const bool known = code >= 1 && code <= 16;
  Error error(known ? static_cast<ErrorCode>(code) : ErrorCode::kUnknown, std::move(message));
  if (!details.public_text().empty()) std::move(error).with_public(details.public_text());
  if (!details.enhanced_status().empty()) std::move(error).with_status(details.enhanced_status());
  if (details.without_retry()) std::move(error).without_retry();
  return error;
}

Error from_status(const grpc::Status& status) {
  v1::ErrorDetails details;
  if (!details.ParseFromString(status.error_details())) details.Clear();
  return make_error(static_cast<int>(status.error_code()), status.error_message(), details);
}

std::chrono::system_clock::time_point to_wall(Deadline deadline) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(deadline.left());
}

Deadline from_wall(std::chrono::system_clock::time_point at) {
  const auto left = at - std::chrono::system_clock::now();
  if (left > std::chrono::hours(24 * 365)) return Deadline::never();
  return Deadline::after(left);
}

}  // namespace merpati::rpc
