#include "queue/route.hpp"

#include <algorithm>
#include <charconv>
#include <random>

#include "merpati/dns/domain_name.hpp"

namespace merpati::queue {
namespace {
std::string address_literal(std::string_view domain) {
  if (!domain.starts_with('[') || !domain.ends_with(']')) return {};
  domain = domain.substr(1, domain.size() - 2);
  if (domain.size() > 5 && (domain.starts_with("IPv6:") || domain.starts_with("ipv6:"))) domain.remove_prefix(5);
  boost::system::error_code error;
  boost::asio::ip::make_address(std::string(domain), error);
  return error ? std::string() : std::string(domain);
}

// RFC 5321 5.1: hosts of one preference in random order.
void shuffle_equals(std::vector<dns::Mx>& records) {
  static thread_local std::mt19937 random{std::random_device{}()};
  for (auto first = records.begin(); first != records.end();) {
    const auto last =
        std::find_if(first, records.end(), [&](const dns::Mx& mx) { return mx.preference != first->preference; });
    std::shuffle(first, last, random);
    first = last;
  }
}
}  // namespace

Result<std::map<std::string, std::pair<std::string, std::uint16_t>>> parse_routes(
    const std::vector<std::string>& routes) {
  std::map<std::string, std::pair<std::string, std::uint16_t>> out;
  for (const std::string& text : routes) {
    const auto equals = text.find('=');
    const auto colon = text.rfind(':');
    const Error wrong(ErrorCode::kInvalidArgument, "queue.routes: \"" + text + "\" is not domain=host:port");
    if (equals == std::string::npos || colon == std::string::npos || colon < equals) return wrong;
    const auto domain = dns::to_ascii(std::string_view(text).substr(0, equals));
    std::string host = text.substr(equals + 1, colon - equals - 1);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
    if (!domain || host.empty() || error != std::errc() || end != text.data() + text.size() || port == 0) return wrong;
    out[*domain] = {host, port};
  }
  return out;
}

Task<Route> find_route(dns::Resolver& resolver, const RouteConfig& config, std::string domain, Deadline deadline) {
  Route route;
  if (const auto fixed = config.fixed.find(domain); fixed != config.fixed.end()) {
    route.targets.push_back({fixed->second.first, fixed->second.second});
    co_return route;
  }
  if (!config.smart_host.empty()) {
    route.targets.push_back({config.smart_host, config.smart_host_port});
    route.smart_host = true;
    co_return route;
  }
  if (const std::string literal = address_literal(domain); !literal.empty()) {
    route.targets.push_back({literal, config.mx_port});
    co_return route;
  }
  if (!dns::to_ascii(domain)) {
    route.failure = Outcome::failed("5.1.2", "The domain " + domain + " is not a valid name");
    co_return route;
  }
  MERPATI_CO_TRY(auto answer, co_await resolver.mx(domain, deadline));
  switch (answer.status) {
    case dns::Status::kFound:
      break;
    case dns::Status::kNoData:
      // RFC 5321 5.1: the implicit MX is the domain itself.
      route.targets.push_back({domain, config.mx_port});
      co_return route;
    case dns::Status::kNoName:
      route.failure = Outcome::failed("5.1.2", "The domain " + domain + " does not exist");
      co_return route;
    case dns::Status::kBogus:
      route.failure = Outcome::temporary("4.7.5", "The DNS answer for " + domain + " is not signed correctly");
      co_return route;
    case dns::Status::kTemporary:
      route.failure = Outcome::waiting("4.4.3", "The MX of " + domain + " could not be looked up: " + answer.reason);
      co_return route;
  }
  if (answer.records.size() == 1 && answer.records.front().host.empty()) {
    route.failure = Outcome::failed("5.1.10", "The domain " + domain + " takes no mail (null MX, RFC 7505)");
    co_return route;
  }
  // RFC 5321 5.1: never to ourselves, nor to hosts that are less preferred than we are.
  const auto self = std::find_if(answer.records.begin(), answer.records.end(),
                                 [&](const dns::Mx& mx) { return mx.host == config.hostname; });
  if (self != answer.records.end()) {
    const std::uint16_t ours = self->preference;
    std::erase_if(answer.records, [&](const dns::Mx& mx) { return mx.preference >= ours; });
    if (answer.records.empty()) {
      route.failure = Outcome::failed("5.4.6", "The MX of " + domain + " is this host, which does not know the domain");
      co_return route;
    }
  }
  std::erase_if(answer.records, [](const dns::Mx& mx) { return mx.host.empty(); });
  shuffle_equals(answer.records);
  for (const dns::Mx& mx : answer.records) route.targets.push_back({mx.host, config.mx_port});
  if (route.targets.empty()) route.failure = Outcome::failed("5.4.4", "No usable MX for " + domain);
  co_return route;
}

}  // namespace merpati::queue
