// Reads one command, or one answer within AUTHENTICATE, with its literals from a connection.
#pragma once

#include <string>

#include "merpati/edge/in_flight.hpp"
#include "merpati/net/connection.hpp"

namespace merpati::managesieve {

struct ReadLimits {
  std::size_t line = 0;      ///< octets of one line with its end
  std::size_t literals = 0;  ///< octets of all literals of a command
};

struct ReadText {
  /// What follows cannot be told from the octets of a refused literal: the session must end.
  bool lost = false;
  bool busy = false;  ///< with kResourceExhausted: not the client's fault
  /// Lines and literals where they stand, without the last CRLF. kOutOfRange: a line is too long, kResourceExhausted:
  /// the literals are too large or the process holds too much, kInvalidArgument: a literal is malformed.
  Result<std::string> text;
  edge::InFlight::Place place;  ///< of the literals; to be held as long as they are
};

/// An error is the connection's.
Task<ReadText> read_text(net::Connection& connection, ReadLimits limits, edge::InFlight& in_flight, Deadline deadline);

}  // namespace merpati::managesieve
