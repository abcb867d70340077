// Lists in DNS: of clients' addresses (DNSBL, DNSWL) and of domains in messages (URIBL), as an engine.
#pragma once

#include "filter/dns_list.hpp"
#include "filter/engine.hpp"
#include "filter/message_domains.hpp"
#include "merpati/net/address.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

struct DnsListsSettings {
  EngineSettings engine;
  std::chrono::milliseconds lookup_time{3000};  ///< for all lists together
  std::chrono::seconds test_every{600};         ///< RFC 5782 5
  std::chrono::seconds test_again_after{60};    ///< of a list that is off
  net::CidrSet own_networks;                    ///< whose clients are asked about nowhere
  DomainLimits domains;
};

class DnsListsEngine : public Engine {
 public:
  DnsListsEngine(DnsListsSettings settings, std::vector<ListSettings> lists, std::shared_ptr<dns::Resolver> resolver,
                 runtime::Metrics& metrics, asio::thread_pool& blocking);

  std::string_view name() const override { return "dns_lists"; }
  EngineSettings settings() const override { return settings_.engine; }
  Stage stage() const override { return Stage::kFirst; }
  Task<Findings> wait_for(const MessageView& view) override;
  /// Of a client that has sent nothing yet: the lists of addresses.
  Task<Findings> check_client(const boost::asio::ip::address& client);

  /// Tests every list now and then until it is cancelled; the first time at once.
  asio::awaitable<void> keep_testing();

 private:
  struct Seat {
    Seat(ListSettings settings, std::shared_ptr<dns::Resolver> resolver)
        : list(std::move(settings), std::move(resolver)) {}
    DnsList list;
    runtime::Counter listed;
    runtime::Gauge off;
  };
  Task<Findings> ask(const boost::asio::ip::address& client, std::vector<std::string> domains);
  asio::awaitable<void> test(Seat& seat);

  const DnsListsSettings settings_;
  asio::thread_pool& blocking_;
  std::vector<std::unique_ptr<Seat>> seats_;
  bool has_domain_lists_ = false;
};

}  // namespace merpati::filter
