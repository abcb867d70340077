#include "pop3/login.hpp"

#include <fmt/format.h>

#include "merpati/runtime/log.hpp"

namespace merpati::pop3 {

using auth::v1::LoginFailure;

ResponseCode response_code(LoginFailure::Reason reason) {
  switch (reason) {
    case LoginFailure::REASON_CREDENTIALS:
    case LoginFailure::REASON_DISABLED:
      return ResponseCode::kAuth;
    case LoginFailure::REASON_SLOWED:
    case LoginFailure::REASON_TEMPORARY:
      return ResponseCode::kSysTemp;
    default:
      return ResponseCode::kNone;
  }
}

Task<void> login_succeeded(Session& session, auth::v1::LoginResult result) {
  auto& edge = session.edge();
  const auto account = result.claims().account_id();
  const auto address = result.claims().address();
  Login login{std::move(*result.mutable_token()), std::move(*result.mutable_claims())};
  auto maildrop = co_await Maildrop::open(edge, login, session.id());
  if (maildrop.has_error()) {
    if (is_temporary(maildrop.error())) session.lease_is_doubtful(std::move(login));
    const auto code = pop3::response_code(maildrop.error(), ErrorSite::kMaildrop);
    edge.probe.login(code == ResponseCode::kInUse ? edge::LoginOutcome::kInUse : edge::LoginOutcome::kTemporary);
    session.say_err(maildrop.error(), ErrorSite::kMaildrop);
    co_return Result<void>();
  }
  if (!maildrop->is_open()) {
    edge.probe.login(edge::LoginOutcome::kDelay);
    session.say_err("you have logged in a moment ago, wait a little", ResponseCode::kLoginDelay);
    co_return Result<void>();
  }
  edge.probe.login(edge::LoginOutcome::kOk);
  session.enter_transaction(*std::move(maildrop));
  session.say_ok(fmt::format("{} messages ({} octets)", session.maildrop().count(), session.maildrop().bytes()));
  log::info("pop3_login", "maildrop opened",
            {{"session_id", session.id()},
             {"account_id", account},
             {"address", address},
             {"tls", session.is_tls()},
             {"client", session.client_info().address()},
             {"messages", session.maildrop().count()}});
  co_return Result<void>();
}

void login_failed(Session& session, const LoginFailure& failure) {
  session.edge().probe.login(edge::outcome_of(failure.reason()));
  session.say_err(failure.text().empty() ? std::string_view("authentication failed") : failure.text(),
                  response_code(failure.reason()));
  log::info("pop3_login_failed", LoginFailure::Reason_Name(failure.reason()),
            {{"session_id", session.id()}, {"client", session.client_info().address()}});
  if (failure.reason() == LoginFailure::REASON_CREDENTIALS || failure.reason() == LoginFailure::REASON_DISABLED ||
      failure.reason() == LoginFailure::REASON_SLOWED)
    session.count_failed_login();
}

void login_failed(Session& session, const Error& error) {
  session.edge().probe.login(edge::LoginOutcome::kTemporary);
  session.say_err(error, ErrorSite::kMaildrop);
}

}  // namespace merpati::pop3
