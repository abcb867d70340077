// Where mail for a domain goes: a configured route, the smart host, or the domain's MX (RFC 5321 5.1).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "merpati/dns/resolver.hpp"
#include "queue/item.hpp"

namespace merpati::queue {

struct RouteConfig {
  std::string hostname;  ///< ours: never deliver to ourselves
  std::string smart_host;
  std::uint16_t smart_host_port = 25;
  std::uint16_t mx_port = 25;
  std::map<std::string, std::pair<std::string, std::uint16_t>> fixed;  ///< domain to host and port
};
/// "domain=host:port"; IPv6 addresses in brackets.
Result<std::map<std::string, std::pair<std::string, std::uint16_t>>> parse_routes(
    const std::vector<std::string>& routes);

struct Target {
  std::string host;  ///< name, or an address
  std::uint16_t port = 25;
};

/// Hosts in the order in which to try them, or why there are none.
struct Route {
  std::vector<Target> targets;
  bool smart_host = false;
  std::optional<Outcome> failure;
};

/// Error only when cancelled.
Task<Route> find_route(dns::Resolver& resolver, const RouteConfig& config, std::string domain, Deadline deadline);

}  // namespace merpati::queue
