// AUTH (RFC 4954): bytes between the client and auth's SASL conversation, of which this edge understands none.
#include "merpati/base/encoding.hpp"
#include "merpati/runtime/log.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {
namespace {

constexpr std::size_t kLongestResponse = 12'288;  // RFC 4954 4
constexpr std::uint32_t kMostFailedLogins = 5;
constexpr int kMostRounds = 10;

}  // namespace

bool Session::may_login() const {
  if (!is_submission() || login_) return false;
  return connection_.stream().is_tls() || (door_->plaintext_login_from_loopback && is_loopback());
}

std::vector<std::string> Session::mechanisms() const {
  std::vector<std::string> names = {"PLAIN", "LOGIN", "SCRAM-SHA-256"};
  if (connection_.stream().is_tls()) names.emplace_back("SCRAM-SHA-256-PLUS");
  return names;
}

Task<void> Session::cmd_auth(std::string_view argument) {
  if (!is_submission() || login_ || transaction_ || !esmtp_) {
    reply(503, "5.5.1", login_ ? "Already authenticated" : "AUTH is not possible now");
    co_return Result<void>();
  }
  if (!may_login()) {
    reply(538, "5.7.11", "Encryption required");
    co_return Result<void>();
  }
  auto command = parse_auth(argument);
  if (command.has_error()) {
    reply(command.error());
    co_return Result<void>();
  }
  const auto names = mechanisms();
  if (std::find(names.begin(), names.end(), command->mechanism) == names.end()) {
    reply(504, "5.5.4", "Unknown mechanism");
    co_return Result<void>();
  }

  const auto options = call_options();
  auto opened = co_await site_->auth.sasl(options);
  if (opened.has_error()) {
    reply(454, "4.7.0", "Temporary authentication failure");
    co_return Result<void>();
  }
  auto& conversation = **opened;
  const auto& stream = connection_.stream();
  auth::v1::SaslRequest request;
  auto& start = *request.mutable_start();
  start.set_mechanism(command->mechanism);
  if (command->initial_response) start.set_initial_response(*command->initial_response);
  start.mutable_client()->set_address(stream.remote().address().to_string());
  start.mutable_client()->set_tls(stream.is_tls());
  start.mutable_client()->set_protocol("smtp");
  start.mutable_client()->set_proxy_trusted(door_->trusted_proxies.contains(stream.remote().address()));
  start.set_tls_exporter(stream.tls_exporter());
  start.set_tls_server_end_point(stream.tls_server_end_point());
  start.set_service("smtp");

  for (int round = 0; round < kMostRounds; ++round) {
    auto sent = co_await conversation.write(std::move(request));
    if (sent.has_error()) break;
    auto received = co_await conversation.read();
    if (received.has_error() || !*received) break;
    auto& response = **received;
    if (response.has_success())
      co_return co_await logged_in(std::move(*response.mutable_success()), command->mechanism);
    if (response.has_failure()) {
      login_failed(response.failure());
      co_return Result<void>();
    }
    append_reply(connection_.output(), 334, "", to_base64(response.challenge()));
    MERPATI_CO_TRY(const auto answer, co_await read_response());
    if (!answer) {  // cancelled or not base64
      conversation.cancel();
      co_return Result<void>();
    }
    request.Clear();
    request.set_response(*answer);
  }
  reply(454, "4.7.0", "Temporary authentication failure");
  co_return Result<void>();
}

/// The client's answer to a challenge. None, with a reply, when it gave up or sent nonsense.
Task<std::optional<std::string>> Session::read_response() {
  const auto deadline = session_end_.within(site_->policy.command_timeout);
  auto line = co_await connection_.read_line(kLongestResponse, deadline);
  if (line.has_error()) {
    if (line.error().code() == ErrorCode::kResourceExhausted) {
      goodbye(421, "4.5.2", "Line without an end");
      co_return std::nullopt;
    }
    if (line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
    reply(500, "5.5.6", "Response too long");
    co_return std::nullopt;
  }
  if (line->end == net::LineEnd::kLf) {
    reply(500, "5.5.2", "Lines end with CRLF");
    co_return std::nullopt;
  }
  if (line->text == "*") {
    reply(501, "5.7.0", "Authentication cancelled");
    co_return std::nullopt;
  }
  auto decoded = from_base64(line->text);
  if (!decoded) reply(501, "5.5.2", "Response is not base64");
  co_return decoded;
}

Task<void> Session::logged_in(auth::v1::LoginResult result, std::string mechanism) {
  // SCRAM's last message: SMTP has no data with success, so it goes as a challenge with an empty answer (RFC 4954 4).
  if (!result.server_final().empty()) {
    append_reply(connection_.output(), 334, "", to_base64(result.server_final()));
    MERPATI_CO_TRY(const auto answer, co_await read_response());
    if (!answer) co_return Result<void>();
    if (!answer->empty()) {
      reply(501, "5.5.2", "An empty response was expected");
      co_return Result<void>();
    }
  }
  const auto& scopes = result.claims().scopes();
  if (std::find(scopes.begin(), scopes.end(), auth::v1::SCOPE_SUBMIT) == scopes.end()) {
    reply(535, "5.7.8", "This credential may not send mail");
    co_return Result<void>();
  }
  auto place = site_->accounts.enter(result.claims().account_id(), site_->policy.max_connections_per_account);
  if (place == nullptr) {
    reply(454, "4.7.0", "Too many connections of this account");
    co_return Result<void>();
  }
  login_ = std::make_unique<Login>();
  login_->place = std::move(place);
  login_->account_id = result.claims().account_id();
  login_->address = result.claims().address();
  login_->expires_at = result.claims().expires_at();
  login_->credential_version = result.claims().credential_version();
  login_->token = std::move(*result.mutable_token());
  login_->mechanism = std::move(mechanism);
  log::info("smtp_login", "a client logged in",
            {{"account_id", login_->account_id}, {"client", connection_.stream().remote().address().to_string()}});
  reply(235, "2.7.0", "Authentication successful");
  co_return Result<void>();
}

void Session::login_failed(const auth::v1::LoginFailure& failure) {
  using auth::v1::LoginFailure;
  log::info("smtp_login_failed", failure.text(),
            {{"reason", LoginFailure::Reason_Name(failure.reason())},
             {"client", connection_.stream().remote().address().to_string()}});
  const auto& text = failure.text();
  switch (failure.reason()) {
    case LoginFailure::REASON_CREDENTIALS:
      reply(535, "5.7.8", "Authentication credentials invalid");
      break;
    case LoginFailure::REASON_DISABLED:
      reply(525, "5.7.13", text.empty() ? "Account disabled" : text);
      break;
    case LoginFailure::REASON_MECHANISM:
      reply(504, "5.5.4", text.empty() ? "Mechanism not available" : text);
      break;
    case LoginFailure::REASON_PROTOCOL:
      reply(501, "5.5.2", "Malformed authentication exchange");
      break;
    case LoginFailure::REASON_CANCELLED:
      reply(501, "5.7.0", "Authentication cancelled");
      break;
    case LoginFailure::REASON_SLOWED:
      reply(454, "4.7.0", "Too many failures, try again later");
      break;
    default:
      reply(454, "4.7.0", "Temporary authentication failure");
      break;
  }
  if (++failed_logins_ >= kMostFailedLogins) goodbye(421, "4.7.0", "Too many failed logins");
}

}  // namespace merpati::smtp
