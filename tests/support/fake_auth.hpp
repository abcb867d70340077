// auth in memory: one account, alice@example.test, whose password is "a secret".
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/guarded.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/rpc/token.hpp"

namespace merpati::test {

class FakeAuth : public auth::v1::AuthService {
 public:
  FakeAuth(const rpc::SigningKey& key, std::string protocol, std::vector<auth::v1::Scope> scopes)
      : key_(key), protocol_(std::move(protocol)), scopes_(std::move(scopes)) {}
  Guarded<bool> down{false};
  Guarded<bool> revoked{false};  ///< told to those who follow the events, once

  auth::v1::LoginResult result() const {
    auth::v1::LoginResult result;
    auto& claims = *result.mutable_claims();
    claims.set_account_id(7);
    claims.set_address("alice@example.test");
    for (const auto scope : scopes_) claims.add_scopes(scope);
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    claims.set_issued_at(now);
    claims.set_expires_at(now + 900);
    result.set_token(rpc::sign(key_, rpc::TokenKind::kSession, claims.SerializeAsString()));
    return result;
  }

  static auth::v1::LoginFailure failure() {
    auth::v1::LoginFailure failure;
    failure.set_reason(auth::v1::LoginFailure::REASON_CREDENTIALS);
    failure.set_text("wrong name or password");
    return failure;
  }

  Task<auth::v1::LoginResponse> login(rpc::Context&, const auth::v1::LoginRequest& r) override {
    if (down.with([](bool d) { return d; })) co_return Error(ErrorCode::kUnavailable, "down");
    auth::v1::LoginResponse response;
    if (r.user() == "alice@example.test" && r.password() == "a secret" && r.client().protocol() == protocol_)
      *response.mutable_success() = result();
    else
      *response.mutable_failure() = failure();
    co_return response;
  }

  /// PLAIN with the same password; SCRAM-SHA-256 stands for any mechanism with a challenge and data with success.
  Task<void> sasl(rpc::Context&, rpc::Reader<auth::v1::SaslRequest>& in,
                  rpc::Writer<auth::v1::SaslResponse>& out) override {
    if (down.with([](bool d) { return d; })) co_return Error(ErrorCode::kUnavailable, "down");
    MERPATI_CO_TRY(auto first, co_await in.read());
    if (!first) co_return Result<void>();
    std::string given = first->start().initial_response();
    auth::v1::SaslResponse answer;
    if (!first->start().has_initial_response()) {
      answer.set_challenge(first->start().mechanism() == "PLAIN" ? "" : "who?");
      MERPATI_CO_CHECK(co_await out.write(answer));
      MERPATI_CO_TRY(auto next, co_await in.read());
      if (!next || next->cancel()) co_return Result<void>();
      given = next->response();
    }
    if (given == std::string("\0alice@example.test\0a secret", 28) || given == "me") {
      *answer.mutable_success() = result();
      if (given == "me") answer.mutable_success()->set_server_final("v=proof");
    } else {
      *answer.mutable_failure() = failure();
    }
    co_return co_await out.write(std::move(answer));
  }

  Task<void> watch_events(rpc::Context&, const auth::v1::WatchEventsRequest&,
                          rpc::Writer<auth::v1::Event>& out) override {
    for (;;) {
      MERPATI_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(1)));
      if (!revoked.with([](bool& r) { return std::exchange(r, false); })) continue;
      auth::v1::Event event;
      event.set_kind(auth::v1::Event::KIND_ACCOUNT_CHANGED);
      event.set_position(1);
      event.set_account_id(7);
      event.set_credential_version(1);
      MERPATI_CO_CHECK(co_await out.write(std::move(event)));
    }
  }

 private:
  rpc::SigningKey key_;
  std::string protocol_;
  std::vector<auth::v1::Scope> scopes_;
};

}  // namespace merpati::test
