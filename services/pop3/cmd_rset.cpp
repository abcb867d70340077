// RSET (RFC 1939 5).
#include <fmt/format.h>

#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_rset(Session& session, const Command&) {
  session.maildrop().unmark_all();
  session.say_ok(fmt::format("{} messages ({} octets)", session.maildrop().count(), session.maildrop().bytes()));
  co_return Result<void>();
}

}  // namespace merpati::pop3
