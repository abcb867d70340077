#include "filter/engine_setup.hpp"

#include "filter/content_engine.hpp"
#include "filter/content_setup.hpp"
#include "filter/external_engines.hpp"
#include "filter/mail_authentication_setup.hpp"
#include "filter/rpc/filter_service.hpp"
#include "filter/sender_lists_engine.hpp"
#include "merpati/config/v1/filter.pb.h"

namespace merpati::filter {
namespace {

Result<void> add_lists(runtime::Process& process, const config::v1::DnsLists& config,
                       std::shared_ptr<dns::Resolver> resolver, FilterService& service, TaskGroup& tasks) {
  MERPATI_TRY(auto lists, make_dns_lists(config, std::move(resolver), process.metrics(), process.blocking()));
  if (!lists) return {};
  tasks.spawn(lists->keep_testing());
  if (config.refuse_early())
    service.check_clients_by([lists](const boost::asio::ip::address& client) { return lists->check_client(client); });
  service.add_engine(std::move(lists), CircuitBreaker::never());
  return {};
}

/// Those that look at the message themselves: they are never left alone.
Result<void> add_content_checks(const config::v1::Filter& config, FilterService& service, asio::thread_pool& blocking) {
  if (config.content().enabled())
    service.add_engine(std::make_shared<ContentEngine>(config.content().max_text(), blocking), CircuitBreaker::never());
  MERPATI_TRY(auto attachments, attachments_settings(config.attachments()));
  if (config.attachments().enabled())
    service.add_engine(std::make_shared<AttachmentsEngine>(std::move(attachments), blocking), CircuitBreaker::never());
  MERPATI_TRY(auto senders, sender_lists(config.senders()));
  if (!senders.empty())
    service.add_engine(std::make_shared<SenderListsEngine>(std::move(senders)), CircuitBreaker::never());
  return {};
}

}  // namespace

bool engines_need_dns(const config::v1::Filter& config) {
  return config.mail_authentication().enabled() || !config.dns_lists().lists().empty();
}

Result<void> add_engines(runtime::Process& process, const config::v1::Filter& config,
                         std::shared_ptr<dns::Resolver> resolver, FilterService& service, TaskGroup& tasks) {
  MERPATI_TRY(auto mail_authentication, make_mail_authentication(process, config, resolver));
  if (mail_authentication) service.add_engine(std::move(mail_authentication), CircuitBreaker::never());
  MERPATI_CHECK(add_content_checks(config, service, process.blocking()));
  MERPATI_TRY(auto clamd, make_clamd(config.clamd(), process.blocking()));
  if (clamd) service.add_engine(std::move(clamd->engine), clamd->breaker);
  MERPATI_TRY(auto rspamd, make_rspamd(config.rspamd(), process.blocking()));
  if (rspamd) service.add_engine(std::move(rspamd->engine), rspamd->breaker);
  return add_lists(process, config.dns_lists(), std::move(resolver), service, tasks);
}

}  // namespace merpati::filter
