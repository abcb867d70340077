// Aliases: owned by auth.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {

using Reach = Act::Reach;

Task<auth::v1::Alias> AdminService::create_alias(rpc::Context& context, const auth::v1::CreateAliasRequest& request) {
  return pass(context, Act{"CreateAlias", request.address(), Reach::kDomain, true, {domain_of(request.address())}},
              directory_, &Directory::create_alias, request);
}

Task<auth::v1::ListAliasesResponse> AdminService::list_aliases(rpc::Context& context,
                                                               const auth::v1::ListAliasesRequest& request) {
  return pass(context,
              Act{"ListAliases", request.domain(), Reach::kDomain, false, {canonical_domain(request.domain())}},
              directory_, &Directory::list_aliases, request);
}

Task<auth::v1::DeleteAliasResponse> AdminService::delete_alias(rpc::Context& context,
                                                               const auth::v1::DeleteAliasRequest& request) {
  return pass(context, Act{"DeleteAlias", request.address(), Reach::kDomain, true, {domain_of(request.address())}},
              directory_, &Directory::delete_alias, request);
}

}  // namespace merpati::admin
