// STARTTLS (RFC 3207).
#include "merpati/runtime/log.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {

Task<void> Session::cmd_starttls(std::string_view argument) {
  if (!argument.empty()) {
    reply(501, "5.5.4", "STARTTLS takes no argument");
    co_return Result<void>();
  }
  if (!door_->starttls || !site_->tls || connection_.stream().is_tls()) {
    reply(503, "5.5.1", "STARTTLS is not available");
    co_return Result<void>();
  }
  // CVE-2011-0411: what came in plain text behind the command must never be taken for what comes under TLS.
  if (connection_.discard_input() > 0) {
    reply(554, "5.5.1", "Commands behind STARTTLS in plain text were dropped");
    co_return Result<void>();
  }
  reply(220, "2.0.0", "Ready for TLS");
  auto started = co_await connection_.start_tls(*site_->tls, session_end_.within(std::chrono::seconds(30)));
  if (started.has_error()) co_return std::move(started).error();
  // RFC 3207 4.2: everything learnt before is forgotten.
  reset();
  helo_.clear();
  esmtp_ = false;
  checked_ = false;
  login_.reset();
  co_return Result<void>();
}

}  // namespace merpati::smtp
