// DATA (RFC 5321 4.1.1.4).
#include "merpati/runtime/log.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {

/// Replies and returns false when a message cannot come now.
bool Session::ready_for_message() {
  if (!transaction_) {
    reply(503, "5.5.1", "Say MAIL first");
  } else if (transaction_->recipients.empty()) {
    // RFC 2920 3.1: a pipelining client sends DATA before it knows that every RCPT was refused.
    reply(554, "5.5.1", "No valid recipients");
  } else {
    return true;
  }
  return false;
}

Task<void> Session::cmd_data(std::string_view argument) {
  if (!argument.empty()) {
    reply(501, "5.5.4", "DATA takes no argument");
    co_return Result<void>();
  }
  if (!ready_for_message()) co_return Result<void>();
  if (incoming_) {
    reply(503, "5.5.1", "BDAT is in progress");  // RFC 3030 2
    co_return Result<void>();
  }
  if (transaction_->mail.body == BodyType::kBinaryMime) {
    reply(503, "5.5.1", "BINARYMIME needs BDAT");  // RFC 3030 3
    co_return Result<void>();
  }
  MERPATI_CO_TRY(const bool wanted, co_await milters_data());
  if (!wanted) {
    reset();
    co_return Result<void>();
  }
  append_reply(connection_.output(), 354, "", "End with <CRLF>.<CRLF>");
  auto incoming = std::make_unique<Incoming>(*site_);
  while (!incoming->dots.done()) {
    const auto deadline = session_end_.within(site_->policy.data_timeout);
    MERPATI_CO_TRY(const auto wire, co_await connection_.peek(deadline));
    connection_.consume(incoming->dots.feed(wire, incoming->buffer.memory()));
    MERPATI_CO_CHECK(co_await incoming->took());
  }
  if (incoming->dots.bare_line_end()) {
    site_->probe.smuggling();
    log::info("smtp_bare_line_end", "a message with a CR or LF that stands alone was refused",
              {{"client", connection_.stream().remote().address().to_string()}});
    reset();
    reply(554, "5.6.0", "Message has a CR or LF that stands alone");
    co_return Result<void>();
  }
  co_return co_await finish_message(std::move(incoming));
}

}  // namespace merpati::smtp
