// Reads one command with its literals from a connection. An APPEND's message is left unread for cmd_append.cpp.
#pragma once

#include "imap/options.hpp"
#include "merpati/imap/parser.hpp"
#include "merpati/net/connection.hpp"

namespace merpati::imap {

struct ReadLimits {
  std::size_t line = 0;
  std::size_t literals = 0;
};

struct ReadCommand {
  std::string tag;          ///< "*" when the line had none
  Result<Command> command;  ///< kInvalidArgument: BAD with its public text
};

/// An error is the connection's: the session ends.
Task<ReadCommand> read_command(net::Connection& connection, ReadLimits limits, std::chrono::nanoseconds timeout);

/// Reads and drops what is left of a refused command: its line, and the literals that come without waiting for a "+"
/// (RFC 7888 4), so that their octets are never read as commands. kResourceExhausted: it is too much.
Task<void> skip_rest(net::Connection& connection, std::size_t line_limit, std::chrono::nanoseconds timeout);
/// The same from a line on that was read already.
Task<void> skip_rest_after(net::Connection& connection, std::string_view line, std::size_t line_limit,
                           std::chrono::nanoseconds timeout);
/// Reads and drops octets of a literal that was refused.
Task<void> skip_octets(net::Connection& connection, std::uint64_t octets, std::chrono::nanoseconds timeout);

}  // namespace merpati::imap
