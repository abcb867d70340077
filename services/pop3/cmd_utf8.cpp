// UTF8 (RFC 6856 2.1). Messages are sent as they are stored in either mode (README), so only STLS takes notice.
#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_utf8(Session& session, const Command&) {
  session.utf8_ = true;
  session.say_ok("UTF-8 it is");
  co_return Result<void>();
}

}  // namespace merpati::pop3
