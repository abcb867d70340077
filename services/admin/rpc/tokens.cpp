// API tokens and the audit log: owned here.
#include <algorithm>

#include "admin/rpc/admin_service.hpp"
#include "admin/rpc/convert.hpp"

namespace merpati::admin {
namespace {

Error invalid(std::string text) { return Error(ErrorCode::kInvalidArgument, text).with_public(text); }

}  // namespace

Task<v1::CreateTokenResponse> AdminService::create_token(rpc::Context& context, const v1::CreateTokenRequest& request) {
  Act act{"CreateToken", request.name(), Act::Reach::kTokens, true, {}};
  co_return co_await run(context, std::move(act), make_token(request, context.deadline()));
}

Task<v1::CreateTokenResponse> AdminService::make_token(const v1::CreateTokenRequest& request, Deadline deadline) {
  if (request.name().empty() || request.name().size() > 100) co_return invalid("a token's name has 1 to 100 octets");
  if (request.role() < v1::ROLE_ADMIN || request.role() > v1::ROLE_READ_ONLY) co_return invalid("a token needs a role");
  if ((request.role() == v1::ROLE_DOMAIN_ADMIN) == request.domain().empty()) {
    co_return invalid("a domain admin's token, and only that, names a domain");
  }
  Token wanted;
  wanted.name = request.name();
  wanted.role = static_cast<Role>(request.role());
  wanted.domain = canonical_domain(request.domain());
  wanted.expires_at = request.expires_at();
  MERPATI_CO_TRY(auto made, co_await tokens_.create(std::move(wanted), deadline));
  v1::CreateTokenResponse response;
  *response.mutable_token() = to_proto(made.token);
  response.set_secret(std::move(made.secret));
  co_return response;
}

Task<v1::ListTokensResponse> AdminService::list_tokens(rpc::Context& context, const v1::ListTokensRequest&) {
  const Act act{"ListTokens", "", Act::Reach::kTokens, false, {}};
  MERPATI_CO_CHECK(co_await admit(context, act));
  MERPATI_CO_TRY(const auto tokens, co_await tokens_.list(context.deadline()));
  v1::ListTokensResponse response;
  for (const auto& token : tokens) *response.add_tokens() = to_proto(token);
  co_return response;
}

Task<v1::RevokeTokenResponse> AdminService::revoke_token(rpc::Context& context, const v1::RevokeTokenRequest& request) {
  Act act{"RevokeToken", request.name(), Act::Reach::kTokens, true, {}};
  co_return co_await run(context, std::move(act), end_token(request.name(), context.deadline()));
}

Task<v1::RevokeTokenResponse> AdminService::end_token(const std::string& name, Deadline deadline) {
  MERPATI_CO_CHECK(co_await tokens_.revoke(name, deadline));
  co_return v1::RevokeTokenResponse();
}

Task<v1::ListAuditResponse> AdminService::list_audit(rpc::Context& context, const v1::ListAuditRequest& request) {
  const Act act{"ListAudit", "", Act::Reach::kTokens, false, {}};
  MERPATI_CO_CHECK(co_await admit(context, act));
  const int limit = request.page_size() > 0 ? std::min(request.page_size(), 1000) : 100;
  MERPATI_CO_TRY(const auto rows, co_await audit_.list(request.before_audit_id(), limit, context.deadline()));
  v1::ListAuditResponse response;
  for (const auto& row : rows) *response.add_rows() = to_proto(row);
  co_return response;
}

}  // namespace merpati::admin
