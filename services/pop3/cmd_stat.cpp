// STAT (RFC 1939 5).
#include <fmt/format.h>

#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_stat(Session& session, const Command&) {
  session.say_ok(fmt::format("{} {}", session.maildrop().count(), session.maildrop().bytes()));
  co_return Result<void>();
}

}  // namespace merpati::pop3
