// AUTHENTICATE (RFC 5804 2.1): the SASL exchange is auth's; the bytes only pass through here. No mechanism of ours has
// a security layer, so capabilities are not sent again after it.
#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "merpati/edge/sasl.hpp"
#include "merpati/runtime/log.hpp"
#include "sieve/commands.hpp"

namespace merpati::managesieve {
namespace {

using auth::v1::LoginFailure;

class Client final : public edge::SaslClient {
 public:
  explicit Client(Session& session) : session_(session) {}

  Task<edge::SaslAnswer> ask(std::string_view challenge) override {
    append_string(session_.out(), to_base64(challenge));
    session_.out() += "\r\n";
    MERPATI_CO_TRY(const auto read, co_await session_.read_answer());
    lost = read.lost;
    edge::SaslAnswer answer;
    auto octets = read.text.has_error() ? Result<std::string>(read.text.error()) : parse_sasl_response(*read.text);
    if (octets.has_error()) {
      answer.refusal = octets.error().public_text();
    } else {
      answer.octets = *std::move(octets);
    }
    co_return answer;
  }

  bool lost = false;

 private:
  Session& session_;
};

void login_failed(Session& session, const LoginFailure& failure) {
  const auto outcome = edge::outcome_of(failure.reason());
  session.site().probe.login(outcome);
  log::info("sieve_login_failed", LoginFailure::Reason_Name(failure.reason()),
            {{"session_id", session.id()}, {"client", session.client_info().address()}});
  const bool by_client = outcome == edge::LoginOutcome::kCredentials || outcome == edge::LoginOutcome::kSlowed;
  if (by_client && session.too_many_failed_logins()) return;
  const bool later = outcome == edge::LoginOutcome::kSlowed || outcome == edge::LoginOutcome::kTemporary;
  session.no(failure.text().empty() ? std::string_view("authentication failed") : failure.text(),
             later ? ResponseCode::kTryLater : ResponseCode::kNone);
}

void login_succeeded(Session& session, auth::v1::LoginResult result) {
  auto& site = session.site();
  const std::string server_final = result.server_final();
  auto place = site.accounts.enter(result.claims().account_id(), site.settings.max_connections_per_account);
  if (place == nullptr) {
    site.probe.login(edge::LoginOutcome::kOther);
    return session.no("too many connections of this account", ResponseCode::kTryLater);
  }
  edge::Login login(std::move(result), std::move(place));
  if (!login.has_scope(auth::v1::SCOPE_SIEVE)) {
    site.probe.login(edge::LoginOutcome::kOther);
    return session.no("this credential may not manage scripts");
  }
  site.probe.login(edge::LoginOutcome::kOk);
  log::info("sieve_login", "logged in",
            {{"session_id", session.id()},
             {"account_id", login.account()},
             {"address", login.claims().address()},
             {"tls", session.is_tls()},
             {"client", session.client_info().address()}});
  session.log_in(std::move(login));
  // RFC 5804 1.3: data that comes with success travels in the response code SASL.
  const auto code = server_final.empty() ? std::string() : code_with_string("SASL", to_base64(server_final));
  append_response(session.out(), Condition::kOk, code, "logged in");
}

}  // namespace

Task<void> cmd_authenticate(Session& session, const Command& command) {
  const auto offered = edge::sasl_mechanisms({session.is_tls(), session.allows_plaintext()});
  if (std::ranges::find(offered, command.mechanism) == offered.end()) {
    const auto with_tls = edge::sasl_mechanisms({true, true});
    const bool needs_tls = std::ranges::find(with_tls, command.mechanism) != with_tls.end();
    session.site().probe.login(edge::LoginOutcome::kOther);
    if (needs_tls) {
      session.no("this mechanism needs TLS: use STARTTLS first", ResponseCode::kEncryptNeeded);
    } else {
      session.no("no such mechanism");
    }
    co_return Result<void>();
  }
  Client client(session);
  auto start = edge::sasl_start(session.connection().stream(), command.mechanism, command.initial_response,
                                session.client_info());
  const auto deadline = Deadline::after(session.site().settings.login_timeout);
  MERPATI_CO_TRY(auto outcome, co_await edge::run_sasl(session.site().auth, std::move(start), client, deadline));
  if (outcome.success) {
    login_succeeded(session, *std::move(outcome.success));
  } else if (outcome.failure) {
    login_failed(session, *outcome.failure);
  } else if (client.lost) {
    session.bye(outcome.refusal);
  } else {
    session.site().probe.login(edge::LoginOutcome::kOther);
    session.no(outcome.refusal);
  }
  co_return Result<void>();
}

}  // namespace merpati::managesieve
