#include "imap/command_reader.hpp"

namespace merpati::imap {
namespace {

// A client that pipelines a refused literal of this size is sent away instead of being read.
constexpr std::uint64_t kMostSkipped = 64ULL * 1024 * 1024;

Error too_long(const char* text) { return Error(ErrorCode::kInvalidArgument, text).with_public(text); }

Error too_much() { return Error(ErrorCode::kResourceExhausted, "refused literal is too large to skip"); }

// A literal whose size is no number of ours. The client waits, or sends what nobody can skip.
Result<ReadCommand> refused_size(std::string_view text, std::string_view line, const Error& error) {
  if (line.ends_with("+}")) return too_much();
  return ReadCommand{tag_of(text), error};
}

// Takes the literals of a command whose first line announced one.
Task<ReadCommand> read_with_literals(net::Connection& connection, std::string text, Literal literal, ReadLimits limits,
                                     std::chrono::nanoseconds timeout) {
  std::size_t literals = 0;
  for (;;) {
    if (announces_append_message(text)) co_return ReadCommand{tag_of(text), parse_append_head(text)};
    literals += literal.size;
    if (literal.size > limits.literals || literals > limits.literals) {
      if (!literal.synchronizing) {
        // RFC 7888 4: the octets come anyway.
        if (literal.size > kMostSkipped) co_return too_much();
        MERPATI_CO_CHECK(co_await skip_octets(connection, literal.size, timeout));
        MERPATI_CO_CHECK(co_await skip_rest(connection, limits.line, timeout));
      }
      co_return ReadCommand{tag_of(text), too_long("[TOOBIG] Literal is too large")};
    }
    if (literal.synchronizing) connection.write("+ OK\r\n");
    text += "\r\n";
    MERPATI_CO_CHECK(
        co_await connection.read_exact(static_cast<std::size_t>(literal.size), text, Deadline::after(timeout)));
    auto line = co_await connection.read_line(limits.line, Deadline::after(timeout));
    if (line.has_error()) {
      if (line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
      const std::string end(connection.dropped_tail());
      MERPATI_CO_CHECK(co_await skip_rest_after(connection, end, limits.line, timeout));
      co_return ReadCommand{tag_of(text), too_long("Line is too long")};
    }
    text += line->text;
    const auto next = announced_literal(line->text);
    if (next.has_error()) co_return refused_size(text, line->text, next.error());
    if (!next->has_value()) co_return ReadCommand{tag_of(text), parse_command(text)};
    literal = **next;
  }
}

}  // namespace

Task<ReadCommand> read_command(net::Connection& connection, ReadLimits limits, std::chrono::nanoseconds timeout) {
  auto line = co_await connection.read_line(limits.line, Deadline::after(timeout));
  if (line.has_error()) {
    if (line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
    const std::string end(connection.dropped_tail());
    MERPATI_CO_CHECK(co_await skip_rest_after(connection, end, limits.line, timeout));
    co_return ReadCommand{"*", too_long("Line is too long")};
  }
  const auto literal = announced_literal(line->text);
  if (literal.has_error()) co_return refused_size(line->text, line->text, literal.error());
  if (!literal->has_value()) co_return ReadCommand{tag_of(line->text), parse_command(line->text)};
  std::string text(line->text);
  co_return co_await read_with_literals(connection, std::move(text), **literal, limits, timeout);
}

Task<void> skip_rest(net::Connection& connection, std::size_t line_limit, std::chrono::nanoseconds timeout) {
  auto line = co_await connection.read_line(line_limit, Deadline::after(timeout));
  if (line.has_error() && line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
  const std::string end(line.has_value() ? line->text : connection.dropped_tail());
  co_return co_await skip_rest_after(connection, end, line_limit, timeout);
}

Task<void> skip_rest_after(net::Connection& connection, std::string_view line, std::size_t line_limit,
                           std::chrono::nanoseconds timeout) {
  auto literal = announced_literal(line);
  for (std::uint64_t skipped = 0;;) {
    if (literal.has_error()) co_return too_much();
    if (!literal->has_value() || (*literal)->synchronizing) co_return Result<void>();
    skipped += (*literal)->size;
    if ((*literal)->size > kMostSkipped || skipped > kMostSkipped) co_return too_much();
    MERPATI_CO_CHECK(co_await skip_octets(connection, (*literal)->size, timeout));
    auto next = co_await connection.read_line(line_limit, Deadline::after(timeout));
    if (next.has_error() && next.error().code() != ErrorCode::kOutOfRange) co_return std::move(next).error();
    literal = announced_literal(next.has_value() ? next->text : connection.dropped_tail());
  }
}

Task<void> skip_octets(net::Connection& connection, std::uint64_t octets, std::chrono::nanoseconds timeout) {
  while (octets > 0) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(octets, 64 * 1024));
    MERPATI_CO_TRY(auto chunk, co_await connection.read_chunk(most, Deadline::after(timeout)));
    octets -= chunk.size();
  }
  co_return Result<void>();
}

}  // namespace merpati::imap
