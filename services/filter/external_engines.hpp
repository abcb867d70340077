// Engines that ask somebody else: clamd, Rspamd, lists in DNS; as the configuration has them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "filter/circuit_breaker.hpp"
#include "filter/dns_lists_engine.hpp"
#include "filter/scanner_link.hpp"
#include "merpati/config/v1/filter.pb.h"
#include "merpati/runtime/process.hpp"

namespace merpati::filter {

struct ExternalEngine {
  std::shared_ptr<Engine> engine;
  CircuitBreaker::Settings breaker;
};

/// None when it is not configured. kInvalidArgument names the key.
Result<std::optional<ExternalEngine>> make_clamd(const config::v1::Clamd& config, asio::thread_pool& blocking);
Result<std::optional<ExternalEngine>> make_rspamd(const config::v1::Rspamd& config, asio::thread_pool& blocking);

/// The lists as they are asked about; kInvalidArgument names the key.
Result<std::vector<ListSettings>> list_settings(const config::v1::DnsLists& config);
/// Null when there are no lists.
Result<std::shared_ptr<DnsListsEngine>> make_dns_lists(const config::v1::DnsLists& config,
                                                       std::shared_ptr<dns::Resolver> resolver,
                                                       runtime::Metrics& metrics, asio::thread_pool& blocking);

}  // namespace merpati::filter
