// STLS (RFC 2595 4).
#include "merpati/runtime/log.hpp"
#include "pop3/commands.hpp"

namespace merpati::pop3 {

Task<void> cmd_stls(Session& session, const Command&) {
  if (session.is_tls()) {
    session.say_err("TLS is on already");
    co_return Result<void>();
  }
  if (!session.offers_stls()) {
    session.say_err("TLS is not available here");
    co_return Result<void>();
  }
  // RFC 6856 2.1: no STLS after UTF8.
  if (session.utf8_) {
    session.say_err("too late after UTF8");
    co_return Result<void>();
  }
  session.say_ok("begin TLS");
  const auto deadline = Deadline::after(std::chrono::seconds(30));
  auto started = co_await session.connection().start_tls(*session.edge().tls, deadline);
  if (started.has_error()) co_return std::move(started).error();
  session.forget_user();
  if (started->dropped_bytes > 0) {
    // CVE-2011-0411: what came before the handshake may be somebody else's.
    session.say_err("commands were sent before TLS began; they were dropped");
    session.end_soon();
    log::info("pop3_plaintext_after_stls", "input before the handshake was dropped", {{"session_id", session.id()}});
  }
  co_return Result<void>();
}

}  // namespace merpati::pop3
