// TOP (RFC 1939 7).
#include "pop3/commands.hpp"
#include "pop3/content.hpp"

namespace merpati::pop3 {

Task<void> cmd_top(Session& session, const Command& command) {
  const auto* message = named_message(session, command);
  if (!message) co_return Result<void>();
  co_return co_await send_message(session, *message, command.lines);
}

}  // namespace merpati::pop3
