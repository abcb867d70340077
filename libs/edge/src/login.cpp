#include "merpati/edge/login.hpp"

#include <algorithm>

namespace merpati::edge {

Login::Login(auth::v1::LoginResult result, net::AccountConnections::Place place)
    : claims_(std::move(*result.mutable_claims())),
      token_(std::move(*result.mutable_token())),
      authorization_id_(result.authorization_id().empty() ? claims_.address() : result.authorization_id()),
      place_(std::move(place)) {}

bool Login::has_scope(auth::v1::Scope scope) const {
  return std::find(claims_.scopes().begin(), claims_.scopes().end(), scope) != claims_.scopes().end();
}

rpc::CallOptions Login::call_options(std::chrono::nanoseconds timeout, std::string trace) const {
  rpc::CallOptions options;
  options.deadline = Deadline::after(timeout);
  options.token = token_;
  options.account_id = account();
  options.cell = claims_.cell();
  options.trace_id = std::move(trace);
  return options;
}

bool Login::is_revoked(const rpc::Revocations& revocations) const {
  return revocations.refuses(claims_.account_id(), claims_.credential_version(), claims_.address());
}

Task<void> Login::keep_fresh(const auth::v1::AuthClient& auth, const rpc::Revocations& revocations, Deadline deadline) {
  if (is_revoked(revocations)) co_return Error(ErrorCode::kUnauthenticated, "the account or its credential changed");
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (claims_.expires_at() == 0 || claims_.expires_at() - now > kMargin.count()) co_return Result<void>();
  auth::v1::RenewTokenRequest request;
  request.set_token(token_);
  rpc::CallOptions options;
  options.deadline = deadline;
  MERPATI_CO_TRY(auto renewed, co_await auth.renew_token(request, options));
  token_ = std::move(*renewed.mutable_token());
  claims_ = std::move(*renewed.mutable_claims());
  co_return Result<void>();
}

}  // namespace merpati::edge
