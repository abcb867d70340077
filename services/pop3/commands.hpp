// The table of commands: when each is allowed and what runs it (cmd_*.cpp). An error that a command returns ends the
// session; what the client should hear, the command has written.
#pragma once

#include "pop3/session.hpp"

namespace merpati::pop3 {

Task<void> cmd_user(Session& session, const Command& command);
Task<void> cmd_pass(Session& session, const Command& command);
Task<void> cmd_auth(Session& session, const Command& command);
Task<void> cmd_stls(Session& session, const Command& command);
Task<void> cmd_utf8(Session& session, const Command& command);
Task<void> cmd_capa(Session& session, const Command& command);
Task<void> cmd_quit(Session& session, const Command& command);
Task<void> cmd_stat(Session& session, const Command& command);
Task<void> cmd_list(Session& session, const Command& command);
Task<void> cmd_retr(Session& session, const Command& command);
Task<void> cmd_dele(Session& session, const Command& command);
Task<void> cmd_noop(Session& session, const Command& command);
Task<void> cmd_rset(Session& session, const Command& command);
Task<void> cmd_top(Session& session, const Command& command);
Task<void> cmd_uidl(Session& session, const Command& command);

struct CommandRow {
  Verb verb;
  bool in_authorization;
  bool in_transaction;
  Task<void> (*run)(Session&, const Command&);
};
const CommandRow& command_row(Verb verb);

/// The message that a command names, or null after "-ERR" was said.
const Maildrop::Message* named_message(Session& session, const Command& command);

}  // namespace merpati::pop3
