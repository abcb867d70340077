// LOGOUT (RFC 5804 2.3).
#include "sieve/commands.hpp"

namespace merpati::managesieve {

Task<void> cmd_logout(Session& session, const Command&) {
  session.ok("bye");
  session.end();
  co_return Result<void>();
}

}  // namespace merpati::managesieve
