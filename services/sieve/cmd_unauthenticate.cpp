// UNAUTHENTICATE (RFC 5804 2.14.1): TLS stays.
#include "sieve/commands.hpp"

namespace merpati::managesieve {

Task<void> cmd_unauthenticate(Session& session, const Command&) {
  session.log_out();
  session.ok("logged out");
  co_return Result<void>();
}

}  // namespace merpati::managesieve
