// Frames of Mux as octets: four of length (big-endian), then a MuxRequest or a MuxResponse (mux.proto), which are
// written straight into the output and read straight out of the input, without objects of the generated classes
// between. No I/O.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "merpati/base/error.hpp"
#include "merpati/rpc/v1/mux.pb.h"

namespace merpati::rpc {

/// What a caller sends first, before TLS: by it the server knows a Mux connection from a gRPC client.
inline constexpr std::string_view kMuxPreamble = "MERPATI-MUX/1\r\n";
inline constexpr std::size_t kFrameHead = 4;
/// The longest frame that is accepted, without its head.
inline constexpr std::size_t kMaxFrame = 4 << 20;
/// An answer over 64 KiB should be a list with a continuation or a stream (docs of the methods); this is the hard end.
inline constexpr std::size_t kMaxReply = 2 << 20;

/// Frames that are to be sent. What is added goes into one frame until that has 1 MiB.
class FrameWriter {
 public:
  struct Call {
    std::string_view method, token, trace_id;
    std::int64_t timeout_us = 0;
  };
  void add_call(std::uint64_t id, const Call& call, const google::protobuf::MessageLite& request);
  void add_cancelled(std::uint64_t id);
  void add_ping();

  /// An answer over kMaxReply becomes an error.
  void add_reply(std::uint64_t id, const google::protobuf::MessageLite& response);
  void add_error(std::uint64_t id, const Error& error);
  void add_credit(std::uint32_t calls, std::uint64_t bytes);
  void add_draining();
  void add_pong();

  /// Whole frames, taken from another writer.
  void append(FrameWriter& other);
  bool empty() const { return octets_.empty(); }
  std::size_t size() const { return octets_.size(); }
  /// Moves the whole frames to `out`, and takes its memory.
  void take(std::string& out);

 private:
  std::uint8_t* grow(std::size_t bytes);
  void end_frame();
  std::string octets_;
  std::size_t frame_ = 0;  // where the last frame begins, with its head
};

/// The length in a frame's head, which has kFrameHead octets.
std::size_t frame_length(std::string_view head);

/// What a server finds in a frame. Views are into the frame.
class RequestSink {
 public:
  struct Call {
    std::uint64_t id = 0;
    std::string_view method, token, trace_id, payload;
    std::int64_t timeout_us = 0;
  };
  virtual void on_call(const Call& call) = 0;
  virtual void on_cancelled(std::uint64_t id) = 0;
  virtual void on_ping() = 0;

 protected:
  ~RequestSink() = default;
};
/// False when the frame is malformed; what came before has been told.
bool read_request(std::string_view frame, RequestSink& sink);

/// What a caller finds in a frame; a pong is not told.
class ResponseSink {
 public:
  struct Reply {
    std::uint64_t id = 0;
    int code = 0;
    std::string_view message, details, payload;
  };
  virtual void on_reply(const Reply& reply) = 0;
  virtual void on_credit(std::uint32_t calls, std::uint64_t bytes) = 0;
  virtual void on_draining() = 0;

 protected:
  ~ResponseSink() = default;
};
bool read_response(std::string_view frame, ResponseSink& sink);

}  // namespace merpati::rpc
