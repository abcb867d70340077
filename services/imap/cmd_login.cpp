// LOGIN (RFC 9051 6.2.3), and what LOGIN and AUTHENTICATE share.
#include "imap/login_failure.hpp"
#include "imap/session.hpp"
#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::imap {

auth::v1::ClientInfo client_info(Session& session) {
  auth::v1::ClientInfo client;
  client.set_address(session.client_address());
  client.set_tls(session.tls());
  client.set_protocol("imap");
  client.set_proxy_trusted(session.is_trusted_proxy());
  return client;
}

Reply refuse_login(Session& session, const auth::v1::LoginFailure& failure) {
  using auth::v1::LoginFailure;
  session.loop().probe.logins_failed.add();
  const std::string text = failure.text().empty() ? std::string() : response_text(failure.text());
  const auto with = [&text](const char* fallback) { return text.empty() ? std::string(fallback) : text; };
  if (failure.reason() != LoginFailure::REASON_TEMPORARY && failure.reason() != LoginFailure::REASON_CANCELLED &&
      ++session.failed_logins >= session.options().max_failed_logins) {
    log::info("imap_login_refused", "too many failed logins, closing", {{"client", session.client_address()}});
    session.out() += "* BYE Too many failed logins\r\n";
    session.end();
  }
  switch (failure.reason()) {
    case LoginFailure::REASON_DISABLED:
      return no("AUTHORIZATIONFAILED", with("This account is disabled"));
    case LoginFailure::REASON_MECHANISM:
      return no(session.plaintext_allowed() ? "CANNOT" : "PRIVACYREQUIRED", with("This mechanism is not available"));
    case LoginFailure::REASON_PROTOCOL:
      return bad(with("The exchange was malformed"));
    case LoginFailure::REASON_CANCELLED:
      return bad("Authentication cancelled");
    case LoginFailure::REASON_SLOWED:
      return no("LIMIT", with("Too many failed logins, try again later"));
    case LoginFailure::REASON_TEMPORARY:
      return no("UNAVAILABLE", with("Temporary failure, try again later"));
    default:
      return no("AUTHENTICATIONFAILED", with("Authentication failed"));
  }
}

Task<Reply> cmd_login(Session& session, const Command& command) {
  if (!session.plaintext_allowed()) co_return no("PRIVACYREQUIRED", "Passwords are accepted under TLS only");
  const auto& arguments = command.get<LoginArguments>();
  auth::v1::LoginRequest request;
  request.set_user(arguments.user);
  request.set_password(arguments.password);
  *request.mutable_client() = client_info(session);
  request.set_service("imap");
  rpc::CallOptions options;
  options.deadline = Deadline::after(session.options().call_timeout);
  MERPATI_CO_TRY(auto response, co_await session.auth().login(request, options));
  if (response.has_success()) co_return session.log_in(response.success());
  co_return refuse_login(session, response.failure());
}

}  // namespace merpati::imap
