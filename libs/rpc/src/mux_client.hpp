// The caller's end of a Mux connection: one for each loop and replica.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "merpati/rpc/service.hpp"
#include "mux_tls.hpp"

namespace merpati::rpc {

/// What became of one attempt: `sent` is false when the call has certainly not reached a handler.
struct Attempt {
  Result<void> result;
  bool sent = true;
};

/// Belongs to one loop; everything on its thread.
class MuxClient {
 public:
  virtual ~MuxClient() = default;
  /// `deadline` holds instead of the options'.
  virtual asio::awaitable<Attempt> call(const Method& method, const MessageLite& request, MessageLite& response,
                                        const CallOptions& options, Deadline deadline) = 0;
  enum class State {
    kNew,         ///< connecting; calls wait
    kOpen,        ///< the server has given credit
    kBroken,      ///< calls fail at once
    kNeverOpened  ///< broken before it was open
  };
  virtual State state() const = 0;
  virtual bool draining() const = 0;
  /// Ends the connection; calls in flight fail.
  virtual void close() = 0;
};

/// Connects to `server`; `tls` null means plain text, for tests on loopback only.
std::shared_ptr<MuxClient> open_mux(asio::ip::tcp::endpoint server, std::shared_ptr<MuxClientTls> tls,
                                    asio::any_io_executor loop);

}  // namespace merpati::rpc
