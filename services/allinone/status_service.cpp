#include "allinone/status_service.hpp"

#include "allinone/figures.hpp"
#include "allinone/version.hpp"
#include "merpati/runtime/machine_name.hpp"

namespace merpati::allinone {

namespace {
std::int64_t milliseconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
}  // namespace

StatusService::StatusService(runtime::Process& process, std::string service)
    : process_(process),
      service_(std::move(service)),
      started_at_(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                      .count()) {
  process.metrics()
      .gauge("merpati_process_build_info", "1; the version is the label",
             {{"version", kVersion}, {"service", service_}})
      .set(1);
}

Task<runtime::v1::GetStatusResponse> StatusService::get_status(rpc::Context&, const runtime::v1::GetStatusRequest&) {
  runtime::v1::GetStatusResponse response;
  response.set_service(service_);
  response.set_version(kVersion);
  response.set_host(runtime::machine_name());
  response.set_ready(process_.health().ready());
  response.set_draining(process_.health().draining());
  response.set_started_at(started_at_);
  const auto add = [](auto* list, const auto& conditions) {
    for (const auto& [name, condition] : conditions) {
      auto* out = list->Add();
      out->set_name(name);
      out->set_ok(condition.ok);
      out->set_reason(condition.reason);
    }
  };
  add(response.mutable_gates(), process_.health().gates());
  response.set_at_ms(milliseconds(std::chrono::system_clock::now()));
  fill_figures(runtime::samples_of(process_.metrics()), response);
  add(response.mutable_dependencies(), process_.health().dependencies());
  co_return response;
}

}  // namespace merpati::allinone
