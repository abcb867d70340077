// DELE (RFC 1939 5): a mark, until QUIT.
#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_dele(Session& session, const Command& command) {
  if (named_message(session, command)) {
    session.maildrop().mark_deleted(*command.message);
    session.say_ok("marked");
  }
  co_return Result<void>();
}

}  // namespace merpati::pop3
