// Channel: how a client reaches a service, whatever the transport.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "merpati/base/clock.hpp"
#include "merpati/rpc/reader_writer.hpp"

namespace merpati::rpc {

struct Method;

struct CallOptions {
  Deadline deadline;            ///< never means the channel's default (30 s for unary calls; none for streams)
  std::string token;            ///< session token, or an operator's API token; empty for none
  std::int64_t account_id = 0;  ///< routing key: calls for one account prefer one replica; 0 for any
  std::string cell;             ///< of the account, for cell_channel(); empty: the one without a name
  std::string trace_id;         ///< 32 hex digits or what Context::trace() gives (runtime/span.hpp); empty for none
};

/// Thread safe: await it on any executor; completion comes back there. A call ends when the awaiting coroutine is
/// cancelled.
class Channel {
 public:
  virtual ~Channel() = default;
  virtual Task<void> unary(const Method& method, const MessageLite& request, MessageLite& response,
                           const CallOptions& options) = 0;
  /// Starts a streaming call; `only_request` is the request of a server-streaming call, else null.
  virtual Task<std::shared_ptr<Stream>> open(const Method& method, const MessageLite* only_request,
                                             const CallOptions& options) = 0;
};

}  // namespace merpati::rpc
