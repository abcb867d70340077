#include "auth/sasl.hpp"

#include "merpati/base/encoding.hpp"

namespace merpati::auth {
namespace {

using Reason = v1::LoginFailure;
constexpr std::size_t kLongestResponse = 64 * 1024;

}  // namespace

v1::LoginResponse SaslConversation::failure(v1::LoginFailure::Reason reason, std::string text) {
  v1::LoginResponse response;
  *response.mutable_failure() = logins_.fail(start_.service(), reason, std::move(text));
  return response;
}

Logins::Attempt SaslConversation::attempt(std::string user, std::string authorization_id) const {
  return {start_.client(), start_.service(), std::move(user), std::move(authorization_id)};
}

Task<void> SaslConversation::run() {
  MERPATI_CO_TRY(auto request, co_await in_.read());
  if (!request || request->step_case() != v1::SaslRequest::kStart)
    co_return Error(ErrorCode::kInvalidArgument, "the first message of a SASL conversation is start");
  start_ = std::move(*request->mutable_start());
  MERPATI_CO_TRY(auto outcome, co_await dispatch());
  v1::SaslResponse response;
  if (outcome.has_success()) {
    *response.mutable_success() = std::move(*outcome.mutable_success());
  } else {
    *response.mutable_failure() = std::move(*outcome.mutable_failure());
  }
  co_return co_await out_.write(std::move(response));
}

Task<v1::LoginResponse> SaslConversation::dispatch() {
  const auto& mechanism = start_.mechanism();
  if (mechanism == "PLAIN") co_return co_await plain();
  if (mechanism == "LOGIN") co_return co_await login();
  if (mechanism == "SCRAM-SHA-256" && logins_.offers_scram()) co_return co_await scram(ScramServer::Binding::kNone);
  if (mechanism == "SCRAM-SHA-256-PLUS" && logins_.offers_scram())
    co_return co_await scram(ScramServer::Binding::kPlus);
  co_return failure(Reason::REASON_MECHANISM, "unknown authentication mechanism");
}

Task<std::optional<std::string>> SaslConversation::ask(std::string challenge) {
  v1::SaslResponse response;
  response.set_challenge(std::move(challenge));
  MERPATI_CO_CHECK(co_await out_.write(std::move(response)));
  MERPATI_CO_TRY(auto answer, co_await in_.read());
  std::optional<std::string> out;
  if (answer && answer->step_case() == v1::SaslRequest::kResponse && answer->response().size() <= kLongestResponse)
    out = std::move(*answer->mutable_response());
  co_return out;
}

Task<std::optional<std::string>> SaslConversation::first() {
  if (!start_.has_initial_response()) co_return co_await ask("");
  std::optional<std::string> out = start_.initial_response();
  co_return out;
}

/// RFC 4616: authzid NUL authcid NUL passwd.
Task<v1::LoginResponse> SaslConversation::plain() {
  MERPATI_CO_TRY(const auto message, co_await first());
  if (!message) co_return cancelled();
  const auto one = message->find('\0');
  const auto two = one == std::string::npos ? one : message->find('\0', one + 1);
  if (two == std::string::npos || message->find('\0', two + 1) != std::string::npos) co_return malformed();
  auto who = attempt(message->substr(one + 1, two - one - 1), message->substr(0, one));
  co_return co_await logins_.by_password(std::move(who), message->substr(two + 1), deadline_);
}

/// draft-murchison-sasl-login: two questions; some clients answer the first at once.
Task<v1::LoginResponse> SaslConversation::login() {
  std::optional<std::string> user;
  if (start_.has_initial_response() && !start_.initial_response().empty()) {
    user = start_.initial_response();
  } else {
    MERPATI_CO_TRY(user, co_await ask("Username:"));
  }
  if (!user) co_return cancelled();
  MERPATI_CO_TRY(auto password, co_await ask("Password:"));
  if (!password) co_return cancelled();
  auto who = attempt(*std::move(user), "");
  co_return co_await logins_.by_password(std::move(who), *std::move(password), deadline_);
}

Task<v1::LoginResponse> SaslConversation::scram(ScramServer::Binding binding) {
  ScramServer server(binding, {start_.tls_exporter(), start_.tls_server_end_point()}, to_base64(random_bytes(18)));
  MERPATI_CO_TRY(const auto client_first, co_await first());
  if (!client_first) co_return cancelled();
  if (server.read_first(*client_first).has_error()) co_return malformed();
  const auto who = attempt(server.user(), server.authorization_id());
  const auto begun = co_await logins_.begin_scram(who, deadline_);
  if (const auto* refused = std::get_if<v1::LoginFailure>(&begun)) {
    v1::LoginResponse response;
    *response.mutable_failure() = *refused;
    co_return response;
  }
  const auto& candidate = std::get<Logins::Candidate>(begun);
  MERPATI_CO_TRY(const auto client_final, co_await ask(server.challenge(candidate.verifier)));
  if (!client_final) co_return cancelled();
  const auto server_final = server.finish(*client_final);
  if (server_final.has_error() && server_final.error().code() == ErrorCode::kInvalidArgument) co_return malformed();
  auto response = logins_.finish_scram(who, candidate, server_final.has_value());
  if (response.has_success()) response.mutable_success()->set_server_final(*server_final);
  co_return response;
}

}  // namespace merpati::auth
