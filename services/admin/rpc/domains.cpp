// Domains: owned by auth.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {

using Reach = Act::Reach;

Task<auth::v1::Domain> AdminService::create_domain(rpc::Context& context,
                                                   const auth::v1::CreateDomainRequest& request) {
  return pass(context, Act{"CreateDomain", request.name(), Reach::kPlatform, true, {}}, directory_,
              &Directory::create_domain, request);
}

Task<auth::v1::Domain> AdminService::get_domain(rpc::Context& context, const auth::v1::GetDomainRequest& request) {
  return pass(context, Act{"GetDomain", request.name(), Reach::kDomain, false, {canonical_domain(request.name())}},
              directory_, &Directory::get_domain, request);
}

Task<auth::v1::ListDomainsResponse> AdminService::list_domains(rpc::Context& context,
                                                               const auth::v1::ListDomainsRequest& request) {
  return pass(context, Act{"ListDomains", "", Reach::kPlatform, false, {}}, directory_, &Directory::list_domains,
              request);
}

Task<auth::v1::Domain> AdminService::update_domain(rpc::Context& context,
                                                   const auth::v1::UpdateDomainRequest& request) {
  return pass(context, Act{"UpdateDomain", request.name(), Reach::kPlatform, true, {}}, directory_,
              &Directory::update_domain, request);
}

Task<auth::v1::DeleteDomainResponse> AdminService::delete_domain(rpc::Context& context,
                                                                 const auth::v1::DeleteDomainRequest& request) {
  co_return co_await run(context, Act{"DeleteDomain", request.name(), Reach::kPlatform, true, {}},
                         end_domain(context, request));
}

}  // namespace merpati::admin
