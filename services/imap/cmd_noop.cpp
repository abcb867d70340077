// NOOP and CHECK: the announcement that follows every command is all they do. LOGOUT.
#include "imap/session.hpp"

namespace merpati::imap {

Task<Reply> cmd_noop(Session&, const Command&) { co_return ok(); }

Task<Reply> cmd_logout(Session& session, const Command&) {
  session.out() += "* BYE Logging out\r\n";
  session.end();
  co_return ok();
}

}  // namespace merpati::imap
