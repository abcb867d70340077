// UIDL (RFC 1939 7).
#include <fmt/format.h>

#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_uidl(Session& session, const Command& command) {
  if (command.message) {
    if (const auto* message = named_message(session, command))
      session.say_ok(fmt::format("{} {}", *command.message, message->unique_id));
    co_return Result<void>();
  }
  session.say_ok("unique ids follow");
  std::uint32_t number = 0;
  for (const auto& message : session.maildrop().messages()) {
    ++number;
    if (!message.deleted) session.connection().write(fmt::format("{} {}\r\n", number, message.unique_id));
    if (session.connection().output_size() > net::Connection::kFlushAbove) MERPATI_CO_CHECK(co_await session.relieve());
  }
  session.connection().write(".\r\n");
  co_return Result<void>();
}

}  // namespace merpati::pop3
