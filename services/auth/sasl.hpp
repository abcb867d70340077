// One SASL conversation over a stream, whatever the mechanism (RFC 4422). Owned by the call.
#pragma once

#include "auth/logins.hpp"
#include "merpati/auth/v1/auth.rpc.hpp"

namespace merpati::auth {

class SaslConversation {
 public:
  SaslConversation(Logins& logins, rpc::Reader<v1::SaslRequest>& in, rpc::Writer<v1::SaslResponse>& out,
                   Deadline deadline)
      : logins_(logins), in_(in), out_(out), deadline_(deadline) {}
  Task<void> run();

 private:
  /// What the mechanisms give: an outcome, or an error of the stream.
  Task<v1::LoginResponse> dispatch();
  Task<v1::LoginResponse> plain();
  Task<v1::LoginResponse> login();
  Task<v1::LoginResponse> scram(ScramServer::Binding binding);

  /// Sends a challenge and waits for its answer; nullopt when the client cancelled or went away.
  Task<std::optional<std::string>> ask(std::string challenge);
  /// The initial response, or the answer to an empty challenge (RFC 4422 3.3).
  Task<std::optional<std::string>> first();
  v1::LoginResponse failure(v1::LoginFailure::Reason reason, std::string text);
  v1::LoginResponse cancelled() { return failure(v1::LoginFailure::REASON_CANCELLED, "cancelled"); }
  v1::LoginResponse malformed() {
    return failure(v1::LoginFailure::REASON_PROTOCOL, "malformed authentication exchange");
  }
  Logins::Attempt attempt(std::string user, std::string authorization_id) const;

  Logins& logins_;
  rpc::Reader<v1::SaslRequest>& in_;
  rpc::Writer<v1::SaslResponse>& out_;
  const Deadline deadline_;
  v1::SaslStart start_;
};

}  // namespace merpati::auth
