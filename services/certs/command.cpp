#include "certs/command.hpp"

#include <iostream>

#include "certs/keep_current.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::certs {
namespace {

Result<std::unique_ptr<SecretStore>> open_store(const config::v1::Certs& config) {
  if (!config.directory().empty()) return directory_store(config.directory());
  MERPATI_TRY(auto server, api_server(config.kubernetes()));
  MERPATI_TRY(auto name_space, namespace_of(config.kubernetes()));
  return kubernetes_store(std::move(server), std::move(name_space));
}

Result<Round> run(const config::v1::Config& config, const Plan& plan) {
  MERPATI_TRY(auto store, open_store(config.certs()));
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  return keep_current(*store, plan, now);
}

}  // namespace

int run_command(const config::v1::Config& given, const std::string& directory, bool rotate,
                const std::vector<std::string_view>& services) {
  config::v1::Config config = given;
  if (!directory.empty()) config.mutable_certs()->set_directory(directory);
  auto plan = plan_of(config, services);
  if (plan.has_value() && plan->authority_name.empty())
    plan = Error(ErrorCode::kInvalidArgument, "neither --directory nor certs.kubernetes.authority_secret is set");
  if (plan.has_error()) {
    std::cerr << "merpati: configuration: " << plan.error().message() << "\n";
    return 2;
  }
  plan->rotate = rotate;
  const auto round = run(config, *plan);
  if (round.has_error()) {
    log::error("certificates_failed", round.error().message(), {{"error", round.error().describe()}});
    log::flush();
    return 1;
  }
  if (round->authorities_changed) log::info("authorities_changed", "the authorities changed");
  for (const auto& name : round->issued) log::info("certificate_issued", "issued", {{"name", name}});
  for (const auto& name : round->updated) log::info("authorities_published", "authorities published", {{"name", name}});
  log::info("certificates_current", "every certificate is current",
            {{"certificates", plan->certificates.size()}, {"issued", round->issued.size()}});
  log::flush();
  return 0;
}

}  // namespace merpati::certs
