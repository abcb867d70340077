// EHLO and HELO (RFC 5321 4.1.1.1).
#include "smtp/session.hpp"

namespace merpati::smtp {

Task<void> Session::cmd_hello(Verb verb, std::string_view argument) {
  auto name = parse_hello(argument);
  if (name.has_error()) {
    reply(name.error());
    co_return Result<void>();
  }
  reset();  // RFC 5321 4.1.4
  helo_.clear();
  const bool esmtp = verb == Verb::kEhlo;
  MERPATI_CO_TRY(const bool passes, co_await milters_hello(*name, esmtp));
  if (!passes) co_return Result<void>();
  helo_ = std::move(*name);
  esmtp_ = esmtp;
  if (!esmtp_) {
    reply(250, "", site_->policy.hostname);
    co_return Result<void>();
  }

  const auto& policy = site_->policy;
  std::vector<std::string> lines = {policy.hostname, "PIPELINING", "SIZE " + std::to_string(policy.max_message_size),
                                    "8BITMIME",      "SMTPUTF8",   "ENHANCEDSTATUSCODES",
                                    "CHUNKING",      "BINARYMIME"};
  if (door_->starttls && site_->tls && !connection_.stream().is_tls()) lines.emplace_back("STARTTLS");
  if (may_login()) {
    std::string auth = "AUTH";
    for (const auto& mechanism : mechanisms()) auth.append(" ").append(mechanism);
    lines.push_back(std::move(auth));
  }
  // RFC 9422 4
  lines.push_back("LIMITS RCPTMAX=" + std::to_string(policy.max_recipients) +
                  " MAILMAX=" + std::to_string(policy.max_transactions));
  append_lines(connection_.output(), 250, lines);
  site_->probe.command(verb_, 250);
  co_return Result<void>();
}

}  // namespace merpati::smtp
