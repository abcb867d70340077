// LIST (RFC 1939 5).
#include <fmt/format.h>

#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_list(Session& session, const Command& command) {
  if (command.message) {
    if (const auto* message = named_message(session, command))
      session.say_ok(fmt::format("{} {}", *command.message, message->size));
    co_return Result<void>();
  }
  session.say_ok(fmt::format("{} messages ({} octets)", session.maildrop().count(), session.maildrop().bytes()));
  std::uint32_t number = 0;
  for (const auto& message : session.maildrop().messages()) {
    ++number;
    if (!message.deleted) session.connection().write(fmt::format("{} {}\r\n", number, message.size));
    if (session.connection().output_size() > net::Connection::kFlushAbove) MERPATI_CO_CHECK(co_await session.relieve());
  }
  session.connection().write(".\r\n");
  co_return Result<void>();
}

}  // namespace merpati::pop3
