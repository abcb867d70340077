// USER (RFC 1939 7). Every name is welcome: which ones exist is nobody's business.
#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_user(Session& session, const Command& command) {
  if (!session.allows_plaintext()) {
    session.say_err("passwords need TLS here: use STLS first", ResponseCode::kAuth);
    co_return Result<void>();
  }
  session.user_ = command.text;
  session.say_ok("send your password");
  co_return Result<void>();
}

}  // namespace merpati::pop3
