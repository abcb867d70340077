// QUIT (RFC 1939 6): the only command that removes anything.
#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_quit(Session& session, const Command&) {
  session.end_soon();
  session.quitting_ = true;
  if (!session.in_transaction()) {
    session.say_ok("bye");
    co_return Result<void>();
  }
  auto deleted = co_await session.maildrop().commit(session.edge());
  if (deleted.has_error()) {
    // RFC 1939 6: "some deleted messages not removed". Here it is none: the commit is one transaction.
    session.say_err(deleted.error(), ErrorSite::kMaildrop);
    co_return Result<void>();
  }
  session.edge().probe.deleted(*deleted);
  session.say_ok("bye");
  co_return Result<void>();
}

}  // namespace merpati::pop3
