// UTF8 (RFC 6856 2.1): headers in UTF-8 are then sent as they are (content.cpp).
#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_utf8(Session& session, const Command&) {
  session.utf8_ = true;
  session.say_ok("UTF-8 it is");
  co_return Result<void>();
}

}  // namespace merpati::pop3
