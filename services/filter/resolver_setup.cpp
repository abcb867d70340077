#include "filter/resolver_setup.hpp"

#include "merpati/config/v1/filter.pb.h"
#include "merpati/dns/caching_resolver.hpp"
#include "merpati/dns/impatient_resolver.hpp"
#include "merpati/dns/unbound_resolver.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {

Result<std::shared_ptr<dns::Resolver>> make_resolver(runtime::Process& process, const config::v1::Filter& config) {
  dns::UnboundOptions options;
  options.servers.assign(config.dns_servers().begin(), config.dns_servers().end());
  options.trust_anchor_file = config.dns_trust_anchor();
  MERPATI_TRY(auto unbound, dns::make_unbound_resolver(process.loops().main(), options));
  auto silent = process.metrics().gauge("merpati_filter_dns_silent", "1 while DNS answers nothing");
  const auto tell = [silent](bool is_silent) mutable {
    silent.set(is_silent ? 1 : 0);
    if (is_silent)
      log::warning("filter_dns_silent", "DNS does not answer: each lookup has little time until it does");
    else
      log::info("filter_dns_back", "DNS answers again");
  };
  return std::shared_ptr<dns::Resolver>(std::make_shared<dns::CachingResolver>(
      std::make_shared<dns::ImpatientResolver>(std::move(unbound), dns::ImpatientResolver::Settings(), tell)));
}

}  // namespace merpati::filter
