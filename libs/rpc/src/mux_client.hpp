// The caller's end of a Mux connection: one for each loop and replica.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>

#include "merpati/rpc/service.hpp"
#include "mux_tls.hpp"

namespace merpati::rpc {

/// Why a call fails that waits for a server which says nothing, whatever it travels by.
inline constexpr const char* kDoesNotAnswer = "the server does not answer";

/// What became of one attempt: `sent` is false when the call has certainly not reached a handler.
struct Attempt {
  Result<void> result;
  bool sent = true;
};

/// Something that waits for a server by another way than Mux.
class SilenceListener {
 public:
  virtual ~SilenceListener() = default;
  /// The server does not answer. On the loop's thread, once.
  virtual void peer_is_silent() = 0;
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
  /// Whether the server lives: at once when it was heard a moment ago, else after a ping. kUnavailable when it does not
  /// answer, `sent` being false.
  virtual asio::awaitable<Attempt> check() = 0;
  /// Pings an idle connection whose server was not heard for a while, or waits for a new one, so that the server is
  /// known to be silent before it is needed.
  virtual void ask() = 0;
  /// Tells the listener when the server does not answer any more, for which it is pinged now and then until the
  /// listener is gone.
  virtual void tell_silence(std::weak_ptr<SilenceListener> listener) = 0;
  /// When it became kBroken or kNeverOpened.
  virtual SteadyTime ended_at() const = 0;
  virtual bool draining() const = 0;
  /// Ends the connection; calls in flight fail.
  virtual void close() = 0;
};

/// Connects to `server`; `tls` null means plain text, for tests on loopback only. `on_quiet` is called while the
/// server says nothing although calls wait, every 50 ms until they fail.
std::shared_ptr<MuxClient> open_mux(asio::ip::tcp::endpoint server, std::shared_ptr<MuxClientTls> tls,
                                    asio::any_io_executor loop, std::function<void()> on_quiet = {});

}  // namespace merpati::rpc
