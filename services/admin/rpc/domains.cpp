// Domains: owned by auth.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {

using Reach = Act::Reach;

Task<auth::v1::Domain> AdminService::create_domain(rpc::Context& context,
                                                   const auth::v1::CreateDomainRequest& request) {
  const auto options = forward(context);
  Act act{"CreateDomain", request.name(), Reach::kPlatform, true, {}};
  co_return co_await run(context, std::move(act), directory_.create_domain(request, options));
}

Task<auth::v1::Domain> AdminService::get_domain(rpc::Context& context, const auth::v1::GetDomainRequest& request) {
  const auto options = forward(context);
  Act act{"GetDomain", request.name(), Reach::kDomain, false, {lower(request.name())}};
  co_return co_await run(context, std::move(act), directory_.get_domain(request, options));
}

Task<auth::v1::ListDomainsResponse> AdminService::list_domains(rpc::Context& context,
                                                               const auth::v1::ListDomainsRequest& request) {
  const auto options = forward(context);
  Act act{"ListDomains", "", Reach::kPlatform, false, {}};
  co_return co_await run(context, std::move(act), directory_.list_domains(request, options));
}

Task<auth::v1::Domain> AdminService::update_domain(rpc::Context& context,
                                                   const auth::v1::UpdateDomainRequest& request) {
  const auto options = forward(context);
  Act act{"UpdateDomain", request.name(), Reach::kPlatform, true, {}};
  co_return co_await run(context, std::move(act), directory_.update_domain(request, options));
}

Task<auth::v1::DeleteDomainResponse> AdminService::delete_domain(rpc::Context& context,
                                                                 const auth::v1::DeleteDomainRequest& request) {
  const auto options = forward(context);
  Act act{"DeleteDomain", request.name(), Reach::kPlatform, true, {}};
  co_return co_await run(context, std::move(act), directory_.delete_domain(request, options));
}

}  // namespace merpati::admin
