#include "filter/external_engines.hpp"

#include <set>

#include "filter/clamd_engine.hpp"
#include "filter/config_values.hpp"
#include "filter/rspamd_engine.hpp"
#include "merpati/dns/domain_name.hpp"
#include "merpati/runtime/duration.hpp"

namespace merpati::filter {
namespace {

using config::v1::Unchecked;

template <class Duration, class D>
Duration to(const D& duration) {
  return std::chrono::duration_cast<Duration>(runtime::to_chrono(duration));
}

EngineSettings engine_settings(const google::protobuf::Duration& timeout, Unchecked unchecked) {
  EngineSettings settings;
  settings.deadline = to<std::chrono::milliseconds>(timeout);
  settings.when_unchecked = when_unchecked(unchecked);
  return settings;
}

CircuitBreaker::Settings breaker_settings(const config::v1::Breaker& config) {
  return {config.failures(), to<std::chrono::milliseconds>(config.pause())};
}

Error wrong(const std::string& key, const std::string& what) {
  return Error(ErrorCode::kInvalidArgument, key + ": " + what);
}

Result<ListCode> code_from(const config::v1::DnsListCode& config, const std::string& key) {
  ListCode code;
  auto pattern = parse_pattern(config.answers());
  if (pattern.has_error()) return wrong(key + ".answers", pattern.error().message());
  code.answers = *pattern;
  if (config.bits() > 255) return wrong(key + ".bits", "more than 255");
  code.answers.bits = static_cast<std::uint8_t>(config.bits());
  code.symbol = config.symbol();
  code.score = config.score();
  code.refuse = config.refuse();
  return code;
}

Result<ListSettings> list_from(const config::v1::DnsList& config, const std::string& key) {
  ListSettings list;
  const auto zone = dns::to_ascii(config.zone());
  if (!zone || zone->empty()) return wrong(key + ".zone", "\"" + config.zone() + "\" is no domain name");
  list.zone = *zone;
  if (config.symbol().empty()) return wrong(key + ".symbol", "not set");
  list.of = config.of() == config::v1::LIST_OF_DOMAINS ? ListSettings::Of::kDomains : ListSettings::Of::kAddresses;
  list.symbol = config.symbol();
  list.score = config.score();
  list.refuse = config.refuse();
  list.ipv4 = config.ipv4();
  list.ipv6 = config.ipv6();
  for (int i = 0; i < config.codes_size(); ++i) {
    MERPATI_TRY(auto code, code_from(config.codes(i), key + ".codes[" + std::to_string(i) + "]"));
    list.codes.push_back(std::move(code));
  }
  return list;
}

}  // namespace

Result<std::optional<ExternalEngine>> make_clamd(const config::v1::Clamd& config, asio::thread_pool& blocking) {
  std::optional<ExternalEngine> made;
  if (config.address().empty()) return made;
  auto link = ScannerLink::make(config.address(), config.max_scans(), blocking);
  if (link.has_error()) return wrong("filter.clamd.address", link.error().message());
  ClamdSettings settings;
  settings.engine = engine_settings(config.timeout(), config.unchecked());
  settings.max_size = config.max_size();
  settings.refuse = config.on_virus() != config::v1::VIRUS_POLICY_JUNK;
  settings.check_submitted = config.check_submitted();
  made = {std::make_shared<ClamdEngine>(settings, *std::move(link)), breaker_settings(config.breaker())};
  return made;
}

Result<std::optional<ExternalEngine>> make_rspamd(const config::v1::Rspamd& config, asio::thread_pool& blocking) {
  std::optional<ExternalEngine> made;
  if (config.address().empty()) return made;
  auto link = ScannerLink::make(config.address(), config.max_scans(), blocking);
  if (link.has_error()) return wrong("filter.rspamd.address", link.error().message());
  RspamdSettings settings;
  settings.engine = engine_settings(config.timeout(), config.unchecked());
  settings.max_size = config.max_size();
  settings.password = config.password();
  settings.follow_action = config.verdict() != config::v1::RSPAMD_VERDICT_SCORE;
  settings.score_factor = config.score_factor();
  settings.check_submitted = config.check_submitted();
  made = {std::make_shared<RspamdEngine>(std::move(settings), *std::move(link)), breaker_settings(config.breaker())};
  return made;
}

Result<std::vector<ListSettings>> list_settings(const config::v1::DnsLists& config) {
  std::vector<ListSettings> lists;
  std::set<std::string> symbols;
  for (int i = 0; i < config.lists_size(); ++i) {
    const std::string key = "filter.dns_lists.lists[" + std::to_string(i) + "]";
    MERPATI_TRY(auto list, list_from(config.lists(i), key));
    if (!symbols.insert(list.symbol).second) return wrong(key + ".symbol", list.symbol + " is another list's, too");
    lists.push_back(std::move(list));
  }
  return lists;
}

Result<std::shared_ptr<DnsListsEngine>> make_dns_lists(const config::v1::DnsLists& config,
                                                       std::shared_ptr<dns::Resolver> resolver,
                                                       runtime::Metrics& metrics, asio::thread_pool& blocking) {
  MERPATI_TRY(auto lists, list_settings(config));
  if (lists.empty()) return std::shared_ptr<DnsListsEngine>();
  DnsListsSettings settings;
  settings.lookup_time = to<std::chrono::milliseconds>(config.lookup_time());
  settings.engine.deadline = settings.lookup_time + std::chrono::seconds(1);
  settings.test_every = to<std::chrono::seconds>(config.test_every());
  settings.test_again_after = to<std::chrono::seconds>(config.test_again_after());
  settings.domains.max_domains = config.max_domains();
  MERPATI_TRY(settings.own_networks, networks_from("filter.dns_lists.own_networks", config.own_networks()));
  return std::make_shared<DnsListsEngine>(std::move(settings), std::move(lists), std::move(resolver), metrics,
                                          blocking);
}

}  // namespace merpati::filter
