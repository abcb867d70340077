#include "merpati/net/connection.hpp"

#include <cstring>
#include <vector>

namespace merpati::net {
namespace {

constexpr std::size_t kBufferSize = 16 * 1024;  // one TLS record
constexpr std::size_t kSparesKept = 64;
constexpr std::size_t kLongestDropped = 1024 * 1024;
constexpr std::size_t kOutputKept = 1024;

/// Buffers go back here when a session has nothing to read, so that an idle session has none.
thread_local std::vector<std::unique_ptr<char[]>> spare_buffers;

Error peer_ended() { return {ErrorCode::kUnavailable, "the peer closed the connection"}; }

}  // namespace

Connection::Connection(Stream stream) : stream_(std::move(stream)) {}
Connection::~Connection() {
  begin_ = end_ = 0;
  release_if_empty();
}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;

void Connection::release_if_empty() {
  if (begin_ != end_ || !buffer_) return;
  if (capacity_ == kBufferSize && spare_buffers.size() < kSparesKept) spare_buffers.push_back(std::move(buffer_));
  buffer_.reset();
  capacity_ = begin_ = end_ = 0;
}

void Connection::make_room() {
  if (!buffer_) {
    if (spare_buffers.empty()) {
      buffer_.reset(new char[kBufferSize]);
    } else {
      buffer_ = std::move(spare_buffers.back());
      spare_buffers.pop_back();
    }
    capacity_ = kBufferSize;
    begin_ = end_ = 0;
  }
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ < capacity_) return;
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  } else {
    std::unique_ptr<char[]> wider(new char[capacity_ * 2]);
    std::memcpy(wider.get(), buffer_.get(), end_);
    buffer_ = std::move(wider);
    capacity_ *= 2;
  }
  end_ -= begin_;
  begin_ = 0;
}

/// Adds at least one byte. What the kernel already has is read before output is flushed, so that the replies to all
/// that a client has pipelined go out together.
Task<void> Connection::fill(Deadline deadline) {
  for (;;) {
    if (output_.size() > kFlushAbove) {
      MERPATI_CO_CHECK(co_await flush(deadline.within(write_timeout_)));
    }
    make_room();
    const auto attempt = stream_.try_read({buffer_.get() + end_, capacity_ - end_});
    if (attempt.state == Stream::Attempt::State::kDone) {
      end_ += attempt.bytes;
      if (attempt.bytes > 0) co_return Result<void>();
      release_if_empty();
      // The peer may have ended only its sending side; it still gets the answers.
      MERPATI_CO_CHECK(co_await flush(deadline.within(write_timeout_)));
      co_return peer_ended();
    }
    release_if_empty();
    if (!output_.empty()) {
      MERPATI_CO_CHECK(co_await flush(deadline.within(write_timeout_)));
      continue;  // it may have come meanwhile
    }
    if (attempt.state == Stream::Attempt::State::kWaitRead) {
      MERPATI_CO_CHECK(co_await stream_.wait_read_ready(deadline));
    } else {
      make_room();
      MERPATI_CO_TRY(const auto got, co_await stream_.read_some({buffer_.get() + end_, capacity_ - end_}, deadline));
      end_ += got;
      if (got == 0) co_return peer_ended();
      co_return Result<void>();
    }
  }
}

bool Connection::has_line() const {
  return buffered() > 0 && std::memchr(buffer_.get() + begin_, '\n', buffered()) != nullptr;
}

Task<Line> Connection::read_line(std::size_t limit, Deadline deadline) {
  for (std::size_t searched = 0;;) {
    const char* start = buffer_.get() + begin_;
    const auto* found = buffered() > searched
                            ? static_cast<const char*>(std::memchr(start + searched, '\n', buffered() - searched))
                            : nullptr;
    if (found != nullptr) {
      const auto length = static_cast<std::size_t>(found - start);
      begin_ += length + 1;
      if (length + 1 > limit) {
        tail_size_ = 0;
        keep_tail({start, length});
        co_return Error(ErrorCode::kOutOfRange, "line too long");
      }
      if (length > 0 && start[length - 1] == '\r') co_return Line{{start, length - 1}, LineEnd::kCrLf};
      co_return Line{{start, length}, LineEnd::kLf};
    }
    searched = buffered();
    if (searched >= limit) {
      MERPATI_CO_CHECK(co_await drop_line(deadline));
      co_return Error(ErrorCode::kOutOfRange, "line too long");
    }
    MERPATI_CO_CHECK(co_await fill(deadline));
  }
}

/// Adds octets of a line that is dropped; a CR at the end of all of them is the line's end, and left out.
void Connection::keep_tail(std::string_view octets) {
  if (octets.ends_with('\r')) octets.remove_suffix(1);
  octets = octets.substr(octets.size() - std::min(octets.size(), tail_.size()));
  const auto kept = std::min<std::size_t>(tail_size_, tail_.size() - octets.size());
  std::memmove(tail_.data(), tail_.data() + tail_size_ - kept, kept);
  std::memcpy(tail_.data() + kept, octets.data(), octets.size());
  tail_size_ = static_cast<std::uint8_t>(kept + octets.size());
}

Task<void> Connection::drop_line(Deadline deadline) {
  tail_size_ = 0;
  for (std::size_t dropped = 0; dropped < kLongestDropped;) {
    if (buffered() == 0) {
      MERPATI_CO_CHECK(co_await fill(deadline));
    }
    const char* start = buffer_.get() + begin_;
    const auto* found = static_cast<const char*>(std::memchr(start, '\n', buffered()));
    if (found != nullptr) {
      keep_tail({start, static_cast<std::size_t>(found - start)});
      begin_ += static_cast<std::size_t>(found - start) + 1;
      co_return Result<void>();
    }
    keep_tail({start, buffered()});
    dropped += discard_input();
  }
  co_return Error(ErrorCode::kResourceExhausted, "a line without an end");
}

Task<std::string_view> Connection::peek(Deadline deadline) {
  if (buffered() == 0) {
    MERPATI_CO_CHECK(co_await fill(deadline));
  }
  co_return std::string_view(buffer_.get() + begin_, buffered());
}

void Connection::consume(std::size_t bytes) { begin_ += bytes; }

Task<std::string_view> Connection::read_chunk(std::size_t at_most, Deadline deadline) {
  if (buffered() == 0) {
    MERPATI_CO_CHECK(co_await fill(deadline));
  }
  const std::string_view chunk(buffer_.get() + begin_, std::min(at_most, buffered()));
  begin_ += chunk.size();
  co_return chunk;
}

Task<void> Connection::read_exact(std::size_t bytes, std::string& out, Deadline deadline) {
  while (bytes > 0) {
    MERPATI_CO_TRY(const auto chunk, co_await read_chunk(bytes, deadline));
    out.append(chunk);
    bytes -= chunk.size();
  }
  co_return Result<void>();
}

Task<void> Connection::wait_for_input(Deadline deadline) {
  if (buffered() > 0) co_return Result<void>();
  release_if_empty();
  MERPATI_CO_CHECK(co_await flush(deadline.within(write_timeout_)));
  co_return co_await stream_.wait_readable(deadline);
}

std::size_t Connection::discard_input() {
  const auto dropped = buffered();
  begin_ = end_ = 0;
  return dropped;
}

Task<void> Connection::flush(Deadline deadline) {
  if (output_.empty()) co_return Result<void>();
  auto written = co_await stream_.write(std::string_view(output_), deadline);
  output_.clear();
  if (output_.capacity() > kOutputKept) output_.shrink_to_fit();
  co_return written;
}

Task<void> Connection::flush_with(std::string_view body, Deadline deadline) {
  const std::string_view pieces[] = {output_, body};
  auto written = co_await stream_.write(std::span<const std::string_view>(pieces), deadline);
  output_.clear();
  co_return written;
}

Task<Connection::StartedTls> Connection::start_tls(const TlsContext& context, Deadline deadline) {
  const auto dropped = discard_input();
  release_if_empty();
  MERPATI_CO_CHECK(co_await flush(deadline.within(write_timeout_)));
  MERPATI_CO_CHECK(co_await stream_.start_tls(context, deadline));
  co_return StartedTls{dropped};
}

}  // namespace merpati::net
