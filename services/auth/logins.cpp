#include "auth/logins.hpp"

#include "merpati/base/encoding.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"

namespace merpati::auth {
namespace {

log::Seldom seldom;  // of logins that could not be checked

using Reason = v1::LoginFailure;

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// The name that failures are counted under: the normal form where there is one.
std::string account_name(const std::string& user) {
  const auto parsed = parse_address(user);
  return parsed ? parsed->text() : "?" + user.substr(0, 320);
}

SlowDown::Client client_of(const v1::ClientInfo& info) { return {info.address(), info.proxy_trusted()}; }

std::string known_service(const std::string& name) {
  return name == "imap" || name == "pop3" || name == "smtp" || name == "sieve" ? name : "other";
}

const char* outcome_name(v1::LoginFailure::Reason reason) {
  switch (reason) {
    case Reason::REASON_CREDENTIALS:
      return "credentials";
    case Reason::REASON_DISABLED:
      return "disabled";
    case Reason::REASON_MECHANISM:
      return "mechanism";
    case Reason::REASON_PROTOCOL:
      return "protocol";
    case Reason::REASON_CANCELLED:
      return "cancelled";
    case Reason::REASON_SLOWED:
      return "slowed";
    default:
      return "temporary";
  }
}

void add_scopes(v1::SessionClaims& claims, const std::string& service) {
  if (service == "imap" || service == "pop3") {
    claims.add_scopes(v1::SCOPE_MAIL_READ);
    claims.add_scopes(v1::SCOPE_MAIL_WRITE);
  } else if (service == "smtp") {
    claims.add_scopes(v1::SCOPE_SUBMIT);
  } else if (service == "sieve") {
    claims.add_scopes(v1::SCOPE_SIEVE);
  }
}

}  // namespace

Logins::Logins(Directory& directory, Passwords& passwords, VerifiedCache& verified, SlowDown& slow_down, Keys& keys,
               LoginOptions options, runtime::Metrics& metrics)
    : directory_(directory),
      passwords_(passwords),
      verified_(verified),
      slow_down_(slow_down),
      keys_(keys),
      options_(options),
      metrics_(metrics),
      cache_hits_(metrics.counter("merpati_auth_verified_cache_hits_total", "Logins that needed no Argon2id.")) {}

v1::LoginFailure Logins::fail(const std::string& service, v1::LoginFailure::Reason reason, std::string text) {
  metrics_
      .counter("merpati_auth_logins_total", "Logins by their outcome.",
               {{"service", known_service(service)}, {"outcome", outcome_name(reason)}})
      .add();
  v1::LoginFailure failure;
  failure.set_reason(reason);
  failure.set_text(std::move(text));
  return failure;
}

std::optional<v1::LoginFailure> Logins::must_wait(const Attempt& attempt) {
  const auto wait = slow_down_.wait(client_of(attempt.client), account_name(attempt.user));
  if (!wait) return std::nullopt;
  auto failure = fail(attempt.service, Reason::REASON_SLOWED, "too many failed logins, try later");
  failure.set_retry_after_ms(wait->count());
  return failure;
}

v1::SessionClaims Logins::claims_for(const Account& account) const {
  v1::SessionClaims claims;
  const auto now = unix_seconds(Clock::system().wall());
  claims.set_account_id(account.id);
  claims.set_cell(account.cell);
  claims.set_issued_at(now);
  claims.set_expires_at(now + options_.token_life.count());
  claims.set_session_id(new_uuid());
  claims.set_credential_version(account.credential_version);
  claims.set_address(account.address);
  claims.set_quota_bytes(account.quota_bytes);
  claims.set_quota_messages(account.quota_messages);
  return claims;
}

v1::LoginResponse Logins::decide(const Attempt& attempt, const std::optional<Account>& account, bool right) {
  v1::LoginResponse response;
  const auto client = client_of(attempt.client);
  if (!account || !right) {
    slow_down_.failed(client, account_name(attempt.user));
    log::info(
        "auth_login_failed", "a login was refused",
        {{"service", attempt.service}, {"client", attempt.client.address()}, {"user", attempt.user.substr(0, 320)}});
    *response.mutable_failure() = fail(attempt.service, Reason::REASON_CREDENTIALS, "authentication failed");
    return response;
  }
  if (!account->usable()) {
    *response.mutable_failure() = fail(attempt.service, Reason::REASON_DISABLED, "the account is disabled");
    return response;
  }
  if (!attempt.authorization_id.empty() && account_name(attempt.authorization_id) != account->address) {
    *response.mutable_failure() = fail(attempt.service, Reason::REASON_CREDENTIALS, "authentication failed");
    return response;
  }
  slow_down_.succeeded(client, account->address);
  metrics_
      .counter("merpati_auth_logins_total", "Logins by their outcome.",
               {{"service", known_service(attempt.service)}, {"outcome", "success"}})
      .add();
  auto& success = *response.mutable_success();
  auto claims = claims_for(*account);
  add_scopes(claims, attempt.service);
  success.set_token(keys_.sign_session(claims));
  success.set_authorization_id(account->address);
  *success.mutable_claims() = std::move(claims);
  return response;
}

asio::awaitable<v1::LoginResponse> Logins::by_password(Attempt attempt, std::string password, Deadline deadline) {
  v1::LoginResponse response;
  if (auto failure = must_wait(attempt)) {
    *response.mutable_failure() = *std::move(failure);
    co_return response;
  }
  const auto temporary = [&](const Error& error) {
    seldom.warning("auth_login_unavailable", error.message(), {{"error", error.describe()}});
    *response.mutable_failure() =
        fail(attempt.service, Reason::REASON_TEMPORARY, "authentication is unavailable, try later");
  };
  std::optional<Account> account;
  if (const auto address = parse_address(attempt.user)) {
    auto found = co_await directory_.account_by_address(address->text(), deadline);
    if (found.has_error()) {
      temporary(found.error());
      co_return response;
    }
    account = *std::move(found);
  }
  const auto prepared = prepare_password(password);
  const std::string text = prepared ? *prepared : "not a password";
  const auto key = account && prepared ? verified_.key(account->id, account->credential_version, text) : std::string();
  bool right = !key.empty() && verified_.contains(key);
  if (right) {
    cache_hits_.add();
  } else {
    auto checked = co_await passwords_.verify(account ? account->credential.hash : std::string(), text);
    if (checked.has_error()) {
      temporary(checked.error());
      co_return response;
    }
    right = *checked && prepared;
    if (right) verified_.add(key);
  }
  co_return decide(attempt, account, right);
}

asio::awaitable<std::variant<v1::LoginFailure, Logins::Candidate>> Logins::begin_scram(const Attempt& attempt,
                                                                                       Deadline deadline) {
  std::variant<v1::LoginFailure, Candidate> out;
  if (auto failure = must_wait(attempt)) {
    out = *std::move(failure);
    co_return out;
  }
  Candidate candidate;
  if (const auto address = parse_address(attempt.user)) {
    auto found = co_await directory_.account_by_address(address->text(), deadline);
    if (found.has_error()) {
      seldom.warning("auth_login_unavailable", found.error().message(), {{"error", found.error().describe()}});
      out = fail(attempt.service, Reason::REASON_TEMPORARY, "authentication is unavailable, try later");
      co_return out;
    }
    candidate.account = *std::move(found);
  }
  if (candidate.account && candidate.account->credential.scram.iterations > 0) {
    candidate.verifier = candidate.account->credential.scram;
  } else {
    // The same salt at each try and on each replica, so that unknown users look like known ones.
    candidate.verifier = {options_.scram_iterations,
                          hmac_sha256(keys_.derive("merpati scram salts v1"), account_name(attempt.user)).substr(0, 16),
                          random_bytes(32), random_bytes(32)};
  }
  out = std::move(candidate);
  co_return out;
}

v1::LoginResponse Logins::finish_scram(const Attempt& attempt, const Candidate& candidate, bool right) {
  return decide(attempt, candidate.account, right);
}

Task<v1::RenewTokenResponse> Logins::renew(std::string token, Deadline deadline) {
  MERPATI_CO_TRY(const auto old, keys_.ring().verify(token));
  MERPATI_CO_TRY(const auto account, co_await directory_.account_by_id(old->account_id(), deadline));
  if (!account || !account->usable() || account->deleted_at != WallTime() ||
      account->credential_version != old->credential_version())
    co_return Error(ErrorCode::kUnauthenticated, "the account or its credential changed")
        .with_public("authentication expired");
  auto claims = claims_for(*account);
  claims.set_session_id(old->session_id());
  *claims.mutable_scopes() = old->scopes();
  v1::RenewTokenResponse response;
  response.set_token(keys_.sign_session(claims));
  *response.mutable_claims() = std::move(claims);
  co_return response;
}

}  // namespace merpati::auth
