// Logins: who is this client? The one place where a name and a secret become a session token. Thread safe.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "auth/directory.hpp"
#include "auth/keys.hpp"
#include "auth/password.hpp"
#include "auth/scram.hpp"
#include "auth/slow_down.hpp"
#include "auth/verified_cache.hpp"
#include "merpati/auth/v1/auth.pb.h"

namespace merpati::auth {

struct LoginOptions {
  std::chrono::seconds token_life{900};
  int scram_iterations = 65'536;  ///< 0: SCRAM is not offered
};

class Logins {
 public:
  Logins(Directory& directory, Passwords& passwords, VerifiedCache& verified, SlowDown& slow_down, Keys& keys,
         LoginOptions options, runtime::Metrics& metrics);

  /// What every mechanism knows of the client.
  struct Attempt {
    v1::ClientInfo client;
    std::string service;           ///< "imap", "pop3", "smtp", "sieve"
    std::string user;              ///< as the client gave it
    std::string authorization_id;  ///< empty: as user
  };
  /// Never an error: a backend that is down is a failure with REASON_TEMPORARY.
  asio::awaitable<v1::LoginResponse> by_password(Attempt attempt, std::string password, Deadline deadline);

  /// SCRAM looks up before it knows whether the client is right; unknown users get a verifier that nothing satisfies.
  struct Candidate {
    std::optional<Account> account;
    ScramVerifier verifier;
  };
  bool offers_scram() const { return options_.scram_iterations > 0; }
  /// A failure (slowed, temporary), or whom to check.
  asio::awaitable<std::variant<v1::LoginFailure, Candidate>> begin_scram(const Attempt& attempt, Deadline deadline);
  v1::LoginResponse finish_scram(const Attempt& attempt, const Candidate& candidate, bool right);

  Task<v1::RenewTokenResponse> renew(std::string token, Deadline deadline);
  /// Counts an attempt that ended before anybody could be checked.
  v1::LoginFailure fail(const std::string& service, v1::LoginFailure::Reason reason, std::string text);

 private:
  v1::LoginResponse decide(const Attempt& attempt, const std::optional<Account>& account, bool right);
  std::optional<v1::LoginFailure> must_wait(const Attempt& attempt);
  v1::SessionClaims claims_for(const Account& account) const;

  Directory& directory_;
  Passwords& passwords_;
  VerifiedCache& verified_;
  SlowDown& slow_down_;
  Keys& keys_;
  const LoginOptions options_;
  runtime::Metrics& metrics_;
  runtime::Counter cache_hits_;
};

}  // namespace merpati::auth
