// Service and Method: what the generated code of a .proto service is made of.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "merpati/rpc/channel.hpp"
#include "merpati/rpc/context.hpp"
#include "merpati/rpc/reader_writer.hpp"

namespace merpati::rpc {

enum class CallKind : std::uint8_t { kUnary, kServerStream, kClientStream, kBidirectional };

/// One method, as its .proto says; lives as long as the program.
struct Method {
  std::string_view path;  ///< "/merpati.store.v1.Store/Deliver"
  CallKind kind;
  bool idempotent;                                 ///< the standard option idempotency_level: may be retried
  std::int64_t (*account_of)(const MessageLite&);  ///< account_id of a request; null when requests name none
  std::unique_ptr<MessageLite> (*new_request)();
  std::unique_ptr<MessageLite> (*new_response)();
};

/// What a backend implements, through the generated class. Methods run on the loop that the call came in on.
class Service {
 public:
  virtual ~Service() = default;
  virtual std::span<const Method> methods() const = 0;
  virtual Task<void> call(std::size_t method, Context& context, const MessageLite& request, MessageLite& response) = 0;
  virtual Task<void> call_stream(std::size_t method, Context& context, Stream& stream) = 0;
};

// For generated code.
Error unimplemented(const Method& method);
Error no_such_method();

template <class T>
std::unique_ptr<MessageLite> new_message() {
  return std::make_unique<T>();
}

template <class T>
std::int64_t account_of(const MessageLite& message) {
  return static_cast<const T&>(message).account_id();
}

template <class T>
Task<T> read_one(Stream& stream) {
  auto message = co_await stream.read();
  if (message.has_error()) co_return std::move(message).error();
  if (*message == nullptr) co_return Error(ErrorCode::kInvalidArgument, "the request is missing");
  co_return std::move(static_cast<T&>(**message));
}

}  // namespace merpati::rpc
