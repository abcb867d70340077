#include "mux_wire.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <cstring>

namespace merpati::rpc {

namespace {

constexpr std::size_t kInput = 64 << 10;
constexpr std::size_t kKeptInput = 1 << 20;  // for the next large frame
constexpr std::size_t kMaxOutput = 32 << 20;
constexpr int kReadsInOneTurn = 16;
constexpr auto kMaxSlow = std::chrono::seconds(10);

/// What has been read and is not a whole frame yet.
class Input {
 public:
  Input() : buffer_(std::make_unique<char[]>(kInput)), capacity_(kInput) {}

  std::span<char> room() { return {buffer_.get() + end_, capacity_ - end_}; }
  void filled(std::size_t bytes) { end_ += bytes; }

  /// Hands on every whole frame; false when one is too long or is refused.
  Result<void> take_frames(const std::function<bool(std::string_view)>& on_frame) {
    std::size_t need = kFrameHead;
    while (end_ - begin_ >= kFrameHead) {
      const auto length = frame_length({buffer_.get() + begin_, kFrameHead});
      if (length > kMaxFrame) return Error(ErrorCode::kInvalidArgument, "a frame is longer than allowed");
      need = kFrameHead + length;
      if (end_ - begin_ < need) break;
      if (!on_frame({buffer_.get() + begin_ + kFrameHead, length}))
        return Error(ErrorCode::kInvalidArgument, "a malformed frame");
      begin_ += need;
      need = kFrameHead;
    }
    make_room(need);
    return {};
  }

 private:
  void make_room(std::size_t need) {
    const auto left = end_ - begin_;
    const auto capacity = std::max(kInput, need);
    if (capacity > capacity_ || (left == 0 && capacity_ > kKeptInput)) {
      auto larger = std::make_unique<char[]>(capacity);
      std::memcpy(larger.get(), buffer_.get() + begin_, left);
      buffer_ = std::move(larger);
      capacity_ = capacity;
    } else if (begin_ > 0) {
      std::memmove(buffer_.get(), buffer_.get() + begin_, left);
    }
    begin_ = 0;
    end_ = left;
  }

  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_, begin_ = 0, end_ = 0;
};

void set(int socket, int level, int option, int value) {
  static_cast<void>(::setsockopt(socket, level, option, &value, sizeof value));
}

}  // namespace

void watch_for_silence(int socket) {
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, 2);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, 5'000);  // milliseconds, of octets that nobody acknowledges
}

MuxWire::MuxWire(asio::any_io_executor loop) : loop_(std::move(loop)), slow_(loop_) {}

void MuxWire::open(net::Stream stream) {
  stream_ = std::move(stream);
  open_ = true;
}

Task<void> MuxWire::read(const std::function<bool(std::string_view)>& on_frame) {
  using State = net::Stream::Attempt::State;
  const auto self = shared_from_this();
  Input input;
  for (;;) {
    reading_ = true;
    for (int i = 0; i < kReadsInOneTurn && open_; ++i) {
      const auto room = input.room();
      const auto attempt = stream_.try_read(room);
      if (attempt.state == State::kWaitRead) break;
      if (attempt.state != State::kDone || attempt.bytes == 0) {
        fail();
        reading_ = false;
        co_return Error(ErrorCode::kUnavailable, "the connection has ended");
      }
      input.filled(attempt.bytes);
      if (auto taken = input.take_frames(on_frame); taken.has_error()) {
        fail();
        reading_ = false;
        co_return taken;
      }
      // A full buffer, or a full TLS record, may have more behind it; otherwise asking would only tell "wait".
      if (attempt.bytes < room.size() && attempt.bytes < (16 << 10) && !stream_.has_pending()) break;
    }
    reading_ = false;
    flush();
    if (!open_) co_return Error(ErrorCode::kUnavailable, "the connection was closed");
    if (auto ready = co_await stream_.wait_read_ready(Deadline::never()); ready.has_error()) {
      fail();
      co_return Error(ErrorCode::kUnavailable, ready.error().message());
    }
  }
}

void MuxWire::flush_soon() {
  if (reading_ || flush_posted_ || !open_) return;
  flush_posted_ = true;
  asio::post(loop_, [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void MuxWire::flush() {
  using State = net::Stream::Attempt::State;
  while (open_ && !peer_is_slow_) {
    if (sent_ == sending_.size()) {
      sent_ = 0;
      if (sending_.capacity() > (1 << 20)) sending_ = {};
      sending_.clear();
      if (out_.empty()) return;
      if (on_flush_) on_flush_();
      out_.take(sending_);
    }
    const auto attempt = stream_.try_write(std::string_view(sending_).substr(sent_));
    if (attempt.state == State::kDone) {
      sent_ += attempt.bytes;
    } else if (attempt.state == State::kWaitWrite) {
      wait_for_the_peer();
    } else {
      fail();  // TLS 1.3 never has to read in order to write
    }
  }
  // Credit bounds what callers send, and the server refuses calls while answers wait; this is the hard end.
  if (open_ && waiting() > kMaxOutput) fail();
}

void MuxWire::wait_for_the_peer() {
  peer_is_slow_ = true;
  slow_.expires_after(kMaxSlow);
  slow_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error && self->peer_is_slow_) self->fail();
  });
  stream_.when_writable([self = shared_from_this()] {
    self->peer_is_slow_ = false;
    self->slow_.cancel();
    self->flush();
  });
}

void MuxWire::fail() {
  if (!open_) return;
  open_ = false;
  slow_.cancel();
  stream_.abort();
  stream_.close();  // now, so that the peer sees it, whoever still holds this
}

void MuxWire::abort() { fail(); }

}  // namespace merpati::rpc
