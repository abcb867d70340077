// Frames of Mux on a connection: both ends read and write with it. Everything on the thread of the connection's loop.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "merpati/net/stream.hpp"
#include "mux_frame.hpp"

namespace merpati::rpc {

/// Makes a connection notice within about 5 s that its peer has vanished, whether or not anything is in flight.
void watch_for_silence(int socket);

class MuxWire : public std::enable_shared_from_this<MuxWire> {
 public:
  explicit MuxWire(asio::any_io_executor loop);

  /// Takes the connection, once it may carry frames (after TLS).
  void open(net::Stream stream);
  bool is_open() const { return open_; }

  /// Reads until the connection ends, which the result tells: it is always an error (kUnavailable; kInvalidArgument
  /// for a frame that is too long, or that `on_frame` refuses by answering false).
  Task<void> read(const std::function<bool(std::string_view)>& on_frame);

  /// What is to be sent. Call flush_soon() after adding to it.
  FrameWriter& out() { return out_; }
  /// Sends at the end of this turn of the loop, so that what is added meanwhile goes along.
  void flush_soon();
  /// Called before out() is handed to the socket.
  void on_flush(std::function<void()> hook) { on_flush_ = std::move(hook); }
  /// What is neither sent nor in the kernel's hands, in octets.
  std::size_t waiting() const { return out_.size() + sending_.size() - sent_; }

  /// Ends the connection: read() returns.
  void abort();

 private:
  void flush();
  void fail();
  void wait_for_the_peer();

  const asio::any_io_executor loop_;
  net::Stream stream_;
  bool open_ = false;
  bool reading_ = false;  // in a turn of read(), which ends with a flush
  bool flush_posted_ = false;
  bool peer_is_slow_ = false;  // the socket took nothing more
  FrameWriter out_;
  std::string sending_;
  std::size_t sent_ = 0;
  asio::steady_timer slow_;
  std::function<void()> on_flush_;
};

}  // namespace merpati::rpc
