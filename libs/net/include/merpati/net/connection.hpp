// Connection: what a line-oriented session reads and writes with. Input is buffered only while there is some; output is
// gathered, and leaves as one write when the session has to wait for the peer. One session, one thread.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "merpati/net/stream.hpp"

namespace merpati::net {

enum class LineEnd : std::uint8_t { kCrLf, kLf };

struct Line {
  std::string_view text;  ///< without its end; valid until the next read
  LineEnd end = LineEnd::kCrLf;
};

/// Errors are Stream's; kUnavailable also when the peer has ended its side.
class Connection {
 public:
  explicit Connection(Stream stream);
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;

  Stream& stream() { return stream_; }
  const Stream& stream() const { return stream_; }

  /// One line of at most `limit` octets with its end. A longer one is read to its end and dropped: kOutOfRange, and
  /// the next line can be read (kResourceExhausted when even 1 MiB has no line end: give up).
  Task<Line> read_line(std::size_t limit, Deadline deadline);
  /// How the line ended that read_line() has just dropped: its last octets without CRLF, 32 at most. An IMAP client
  /// says there whether a literal follows.
  std::string_view dropped_tail() const { return {tail_.data(), tail_size_}; }
  /// What is there, at least one byte; valid until the next read. Take it with consume().
  Task<std::string_view> peek(Deadline deadline);
  void consume(std::size_t bytes);
  /// At most `at_most` (> 0) and at least one byte, consumed; valid until the next read: for streaming a literal.
  Task<std::string_view> read_chunk(std::size_t at_most, Deadline deadline);
  /// Exactly `bytes`, appended to `out`.
  Task<void> read_exact(std::size_t bytes, std::string& out, Deadline deadline);
  /// Flushes, then waits for input without holding a buffer. kCancelled after stream().interrupt(): for IDLE, and
  /// for a drain between commands. Returns at once when input is buffered.
  Task<void> wait_for_input(Deadline deadline);
  /// Input that is already here, so that reading it does not wait.
  std::size_t buffered() const { return end_ - begin_; }
  bool has_line() const;
  /// Drops buffered input and tells how much it was.
  std::size_t discard_input();

  /// Appends to the output that the next wait for input, or flush(), sends. A session that produces much calls
  /// flush() whenever output_size() is above kFlushAbove.
  void write(std::string_view text) { output_.append(text); }
  std::string& output() { return output_; }
  std::size_t output_size() const { return output_.size(); }
  static constexpr std::size_t kFlushAbove = 32 * 1024;
  Task<void> flush(Deadline deadline);
  /// Gathered output and then `body`, as one write, without copying the body.
  Task<void> flush_with(std::string_view body, Deadline deadline);
  /// How long a flush within a read may take; a slow reader is cut then. Five minutes by default.
  void set_write_timeout(std::chrono::nanoseconds timeout) { write_timeout_ = timeout; }

  /// Server side of STARTTLS: flushes (the go-ahead), drops and reports input that was sent before the handshake
  /// (CVE-2011-0411), then shakes hands.
  struct StartedTls {
    std::size_t dropped_bytes = 0;
  };
  Task<StartedTls> start_tls(const TlsContext& context, Deadline deadline);

 private:
  Task<void> fill(Deadline deadline);
  Task<void> drop_line(Deadline deadline);
  void keep_tail(std::string_view octets);
  void make_room();
  void release_if_empty();

  Stream stream_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
  std::array<char, 32> tail_{};
  std::uint8_t tail_size_ = 0;
  std::string output_;
  std::chrono::nanoseconds write_timeout_ = std::chrono::minutes(5);
};

}  // namespace merpati::net
