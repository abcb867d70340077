// The table of commands: when each is allowed and what runs it (cmd_*.cpp). An error that a command returns ends the
// session; what the client should hear, the command has written.
#pragma once

#include "sieve/session.hpp"

namespace merpati::managesieve {

Task<void> cmd_authenticate(Session& session, const Command& command);
Task<void> cmd_starttls(Session& session, const Command& command);
Task<void> cmd_capability(Session& session, const Command& command);
Task<void> cmd_logout(Session& session, const Command& command);
Task<void> cmd_noop(Session& session, const Command& command);
Task<void> cmd_unauthenticate(Session& session, const Command& command);
Task<void> cmd_havespace(Session& session, const Command& command);
Task<void> cmd_putscript(Session& session, const Command& command);
Task<void> cmd_checkscript(Session& session, const Command& command);
Task<void> cmd_listscripts(Session& session, const Command& command);
Task<void> cmd_setactive(Session& session, const Command& command);
Task<void> cmd_getscript(Session& session, const Command& command);
Task<void> cmd_deletescript(Session& session, const Command& command);
Task<void> cmd_renamescript(Session& session, const Command& command);

struct CommandRow {
  Verb verb;
  bool before_login;
  bool after_login;
  Task<void> (*run)(Session&, const Command&);
};
const CommandRow& command_row(Verb verb);

}  // namespace merpati::managesieve
