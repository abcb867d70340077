// Login: the session token that auth signed, as one session of an edge keeps it.
#pragma once

#include <string>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/net/account_connections.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/rpc/revocations.hpp"

namespace merpati::edge {

/// Owned by one session.
class Login {
 public:
  /// `place` is held as long as the login: the account's part of the sessions (net::AccountConnections).
  Login(auth::v1::LoginResult result, net::AccountConnections::Place place);

  std::int64_t account() const { return claims_.account_id(); }
  const auth::v1::SessionClaims& claims() const { return claims_; }
  /// As whom the client logged in (RFC 4422 2): the main address where the mechanism named nobody.
  const std::string& authorization_id() const { return authorization_id_; }
  bool has_scope(auth::v1::Scope scope) const;

  /// Of a call on the account's behalf.
  rpc::CallOptions call_options(std::chrono::nanoseconds timeout, std::string trace = {}) const;
  /// Has the account been disabled, or got another password, since the login?
  bool is_revoked(const rpc::Revocations& revocations) const;
  /// Renews the token when it ends within kMargin. kUnauthenticated: the login is over. Other errors say that auth is
  /// away, and the token good until it ends.
  Task<void> keep_fresh(const auth::v1::AuthClient& auth, const rpc::Revocations& revocations, Deadline deadline);

  /// How long a session may wait between two looks at its login, and what the token has left then at least.
  static constexpr std::chrono::seconds kLook{240};
  static constexpr std::chrono::seconds kMargin{330};

 private:
  auth::v1::SessionClaims claims_;
  std::string token_;
  std::string authorization_id_;
  net::AccountConnections::Place place_;
};

/// Not so for a backend that is down.
inline bool is_login_over(const Result<void>& fresh) {
  return fresh.has_error() && fresh.error().code() == ErrorCode::kUnauthenticated;
}

}  // namespace merpati::edge
