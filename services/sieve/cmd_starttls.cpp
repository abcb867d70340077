// STARTTLS (RFC 5804 2.2): capabilities are sent again after it.
#include "merpati/runtime/log.hpp"
#include "sieve/commands.hpp"

namespace merpati::managesieve {

Task<void> cmd_starttls(Session& session, const Command&) {
  if (session.is_tls()) {
    session.no("TLS is on already");
    co_return Result<void>();
  }
  if (!session.offers_starttls()) {
    session.no("TLS is not available here");
    co_return Result<void>();
  }
  session.ok("begin TLS");
  const auto deadline = Deadline::after(std::chrono::seconds(30));
  auto started = co_await session.connection().start_tls(*session.site().tls, deadline);
  if (started.has_error()) co_return std::move(started).error();
  if (started->dropped_bytes > 0) {
    // CVE-2011-0411: what came before the handshake may be somebody else's.
    log::info("sieve_plaintext_after_starttls", "input before the handshake was dropped",
              {{"session_id", session.id()}});
    session.bye("commands were sent before TLS began; they were dropped");
    co_return Result<void>();
  }
  session.write_capabilities();
  session.ok();
  co_return Result<void>();
}

}  // namespace merpati::managesieve
