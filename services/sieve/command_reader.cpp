#include "sieve/command_reader.hpp"

#include <algorithm>

#include "merpati/managesieve/command.hpp"

namespace merpati::managesieve {
namespace {

constexpr std::uint64_t kMostSkipped = 16 << 20;  // octets of refused literals that are read and forgotten

constexpr const char* kBusy = "the server is busy, try again later";

Error too_long() { return Error(ErrorCode::kOutOfRange, "line too long").with_public("the line is too long"); }

class TextReader {
 public:
  TextReader(net::Connection& connection, ReadLimits limits, edge::InFlight& in_flight, Deadline deadline)
      : connection_(connection), limits_(limits), in_flight_(in_flight), deadline_(deadline) {}

  Task<ReadText> run() {
    ReadText read;
    for (std::size_t literals = 0;;) {
      MERPATI_CO_TRY(const auto tail, co_await line(read));
      const auto announced = announced_literal(tail);
      if (announced.has_error()) {
        refuse(read, announced.error());
        read.lost = true;
      }
      if (announced.has_error() || !*announced) co_return read;
      const std::uint64_t size = **announced;
      MERPATI_CO_CHECK(co_await take(read, size, literals));
      if (read.lost) co_return read;
    }
  }

 private:
  /// The first thing that is wrong is told.
  static void refuse(ReadText& read, Error error) {
    if (!read.text.has_error()) read.text = std::move(error);
    read.place.reset();
  }

  /// Appends a line; gives its end, where a literal may be announced. A line that does not end at all is an error.
  Task<std::string> line(ReadText& read) {
    auto line = co_await connection_.read_line(limits_.line, deadline_);
    if (line.has_value()) {
      if (read.text.has_value()) read.text->append(line->text);
      co_return std::string(line->text);
    }
    if (line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
    refuse(read, too_long());
    co_return std::string(connection_.dropped_tail());
  }

  Task<void> take(ReadText& read, std::uint64_t size, std::size_t& literals) {
    if (read.text.has_value() && size > limits_.literals - std::min(literals, limits_.literals))
      refuse(read, Error(ErrorCode::kResourceExhausted, "literal too large").with_public("the script is too large"));
    if (read.text.has_value()) {
      read.place = in_flight_.enter(literals + size);
      read.busy = read.place == nullptr;
      if (read.busy) refuse(read, Error(ErrorCode::kResourceExhausted, "too many octets in flight").with_public(kBusy));
    }
    if (read.text.has_error()) co_return co_await skip(read, size);
    literals += static_cast<std::size_t>(size);
    read.text->append("\r\n");
    co_return co_await connection_.read_exact(static_cast<std::size_t>(size), *read.text, deadline_);
  }

  Task<void> skip(ReadText& read, std::uint64_t octets) {
    if (skipped_ += octets; skipped_ > kMostSkipped) {
      read.lost = true;
      co_return Result<void>();
    }
    while (octets > 0) {
      MERPATI_CO_TRY(auto chunk, co_await connection_.read_chunk(
                                     static_cast<std::size_t>(std::min<std::uint64_t>(octets, 64 * 1024)), deadline_));
      octets -= chunk.size();
    }
    co_return Result<void>();
  }

  net::Connection& connection_;
  const ReadLimits limits_;
  edge::InFlight& in_flight_;
  const Deadline deadline_;
  std::uint64_t skipped_ = 0;
};

}  // namespace

Task<ReadText> read_text(net::Connection& connection, ReadLimits limits, edge::InFlight& in_flight, Deadline deadline) {
  TextReader reader(connection, limits, in_flight, deadline);
  co_return co_await reader.run();
}

}  // namespace merpati::managesieve
