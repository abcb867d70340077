// The platform's processes: each is asked for its own status.
#include "admin/rpc/admin_service.hpp"
#include "merpati/runtime/v1/status.rpc.hpp"

namespace merpati::admin {

Task<v1::GetServicesResponse> AdminService::get_services(rpc::Context& context, const v1::GetServicesRequest&) {
  Act act{"GetServices", "", Act::Reach::kPlatform, false, {}};
  co_return co_await run(context, std::move(act), ask_services(context.deadline()));
}

Task<v1::GetServicesResponse> AdminService::ask_services(Deadline deadline) {
  v1::GetServicesResponse response;
  for (const auto& [name, channel] : status_) {
    runtime::v1::StatusClient client(channel);
    const runtime::v1::GetStatusRequest request;
    rpc::CallOptions options;
    options.deadline = deadline.within(std::chrono::seconds(2));
    auto status = co_await client.get_status(request, options);
    auto* service = response.add_services();
    service->set_service(name);
    service->set_reachable(status.has_value());
    if (status.has_error()) {
      service->set_error(status.error().public_text().empty() ? std::string(to_string(status.error().code()))
                                                              : status.error().public_text());
    } else {
      *service->mutable_status() = *std::move(status);
    }
  }
  co_return response;
}

}  // namespace merpati::admin
