// The gRPC service merpati.auth.v1.Auth.
#pragma once

#include "auth/events.hpp"
#include "auth/logins.hpp"
#include "auth/recipients.hpp"
#include "merpati/auth/v1/auth.rpc.hpp"

namespace merpati::auth {

class AuthService final : public v1::AuthService {
 public:
  AuthService(Directory& directory, Logins& logins, Recipients& recipients, Keys& keys, EventFeed& feed)
      : directory_(directory), logins_(logins), recipients_(recipients), keys_(keys), feed_(feed) {}

  Task<void> sasl(rpc::Context& context, rpc::Reader<v1::SaslRequest>& in, rpc::Writer<v1::SaslResponse>& out) override;
  Task<v1::LoginResponse> login(rpc::Context& context, const v1::LoginRequest& request) override;
  Task<v1::RenewTokenResponse> renew_token(rpc::Context& context, const v1::RenewTokenRequest& request) override;
  Task<v1::ResolveRecipientResponse> resolve_recipient(rpc::Context& context,
                                                       const v1::ResolveRecipientRequest& request) override;
  Task<v1::CheckSenderResponse> check_sender(rpc::Context& context, const v1::CheckSenderRequest& request) override;
  Task<v1::ListPublicKeysResponse> list_public_keys(rpc::Context& context,
                                                    const v1::ListPublicKeysRequest& request) override;
  Task<void> watch_events(rpc::Context& context, const v1::WatchEventsRequest& request,
                          rpc::Writer<v1::Event>& out) override;

 private:
  Directory& directory_;
  Logins& logins_;
  Recipients& recipients_;
  Keys& keys_;
  EventFeed& feed_;
};

}  // namespace merpati::auth
