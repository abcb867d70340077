#include "filter/mail_authentication_setup.hpp"

#include "filter/config_values.hpp"
#include "filter/mail_authentication_engine.hpp"
#include "merpati/config/v1/filter.pb.h"
#include "merpati/dns/domain_name.hpp"
#include "merpati/runtime/duration.hpp"

namespace merpati::filter {
namespace {
Result<MailAuthenticationSettings> settings_from(const config::v1::MailAuthentication& config) {
  MailAuthenticationSettings settings;
  settings.lookup_time =
      std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(config.lookup_time()));
  MERPATI_TRY(settings.own_networks, networks_from("filter.mail_authentication.own_networks", config.own_networks()));
  settings.policy.honour_dmarc = config.dmarc() != config::v1::DMARC_POLICIES_SCORE;
  for (const std::string& domain : config.trusted_sealers()) {
    const auto name = dns::to_ascii(domain);
    if (!name) {
      return Error(ErrorCode::kInvalidArgument,
                   "filter.mail_authentication.trusted_sealers: \"" + domain + "\" is no domain name");
    }
    settings.policy.trusted_sealers.push_back(*name);
  }
  settings.when_unchecked = when_unchecked(config.unchecked());
  return settings;
}
}  // namespace

Result<std::shared_ptr<Engine>> make_mail_authentication(runtime::Process& process, const config::v1::Filter& config,
                                                         std::shared_ptr<dns::Resolver> resolver) {
  if (!config.mail_authentication().enabled()) return std::shared_ptr<Engine>();
  MERPATI_TRY(auto settings, settings_from(config.mail_authentication()));
  settings.for_reports = config.dmarc_reports().enabled();
  return std::shared_ptr<Engine>(
      std::make_shared<MailAuthenticationEngine>(std::move(settings), std::move(resolver), process.blocking()));
}

}  // namespace merpati::filter
