// STARTTLS (RFC 9051 6.2.1).
#include "imap/session.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::imap {

Task<Reply> cmd_starttls(Session& session, const Command& command) {
  if (session.tls()) co_return bad("TLS is active already");
  if (!session.offers_starttls()) co_return bad("TLS is not available here");
  auto& connection = session.connection();
  if (connection.buffered() > 0) {
    // CVE-2011-0411: what was sent in plain text must never be read as if it had come under TLS.
    connection.discard_input();
    co_return bad("Nothing may follow STARTTLS before TLS has begun");
  }
  session.out() += command.tag + " OK Begin TLS negotiation now\r\n";
  const auto started = co_await connection.start_tls(*session.loop().tls, Deadline::after(std::chrono::seconds(30)));
  if (started.has_error() || started->dropped_bytes > 0) {
    log::info("imap_starttls_failed", "TLS did not begin",
              {{"error", started.has_error() ? started.error().describe() : "input before the handshake"}});
    session.cut();
    co_return Error(ErrorCode::kUnavailable, "TLS failed");
  }
  co_return Reply{Reply::Condition::kOk, {}, std::string(kAlreadyAnswered)};
}

}  // namespace merpati::imap
