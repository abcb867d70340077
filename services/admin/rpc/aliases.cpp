// Aliases: owned by auth.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {

Task<auth::v1::Alias> AdminService::create_alias(rpc::Context& context, const auth::v1::CreateAliasRequest& request) {
  const auto options = forward(context);
  Act act{"CreateAlias", request.address(), Act::Reach::kDomain, true, {domain_of(request.address())}};
  co_return co_await run(context, std::move(act), directory_.create_alias(request, options));
}

Task<auth::v1::ListAliasesResponse> AdminService::list_aliases(rpc::Context& context,
                                                               const auth::v1::ListAliasesRequest& request) {
  const auto options = forward(context);
  Act act{"ListAliases", request.domain(), Act::Reach::kDomain, false, {lower(request.domain())}};
  co_return co_await run(context, std::move(act), directory_.list_aliases(request, options));
}

Task<auth::v1::DeleteAliasResponse> AdminService::delete_alias(rpc::Context& context,
                                                               const auth::v1::DeleteAliasRequest& request) {
  const auto options = forward(context);
  Act act{"DeleteAlias", request.address(), Act::Reach::kDomain, true, {domain_of(request.address())}};
  co_return co_await run(context, std::move(act), directory_.delete_alias(request, options));
}

}  // namespace merpati::admin
