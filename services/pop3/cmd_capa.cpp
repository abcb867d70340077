// CAPA (RFC 2449 5).
#include <fmt/format.h>

#include "pop3/commands.hpp"
#include "pop3/mechanisms.hpp"

namespace merpati::pop3 {

Task<void> cmd_capa(Session& session, const Command&) {
  session.say_ok("capabilities follow");
  auto& out = session.connection();
  out.write("TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n");
  out.write("EXPIRE NEVER\r\n");  // RFC 2449 6.7
  out.write("UTF8 USER\r\n");     // RFC 6856 2.2
  const auto delay = std::chrono::ceil<std::chrono::seconds>(session.edge().settings.login_delay).count();
  if (delay > 0) out.write(fmt::format("LOGIN-DELAY {}\r\n", delay));
  if (session.allows_plaintext()) out.write("USER\r\n");
  std::string sasl = "SASL";
  for (const auto& name : mechanisms(session)) (sasl += ' ') += name;
  out.write(sasl + "\r\n");
  if (session.offers_stls() && !session.in_transaction()) out.write("STLS\r\n");
  out.write("IMPLEMENTATION Merpati\r\n.\r\n");
  co_return Result<void>();
}

}  // namespace merpati::pop3
