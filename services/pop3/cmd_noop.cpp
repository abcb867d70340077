// NOOP (RFC 1939 5).
#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_noop(Session& session, const Command&) {
  session.say_ok("");
  co_return Result<void>();
}

}  // namespace merpati::pop3
