// The table of commands: handler, the states it is allowed in, what may be announced before its tagged reply.
#pragma once

#include "imap/session.hpp"

namespace merpati::imap {

struct DispatchRow {
  enum class Announces : std::uint8_t { kNothing, kHoldExpunges, kEverything };
  Verb verb;
  Handler handler;
  std::uint8_t states;  ///< bit for each Session::State
  Announces announce;
  bool allows(Session::State state) const { return (states >> static_cast<unsigned>(state) & 1U) != 0; }
};

const DispatchRow& dispatch_row(Verb verb);

}  // namespace merpati::imap
