// Items that leave: hosts of the route are tried one after the other, and a connection is used again for the next job.
#pragma once

#include <memory>

#include "merpati/dns/resolver.hpp"
#include "queue/content.hpp"
#include "queue/item.hpp"
#include "queue/remote_session.hpp"
#include "queue/route.hpp"

namespace merpati::queue {

struct RemoteConfig {
  RouteConfig route;
  RemoteOptions mx;                       ///< towards MX hosts and fixed routes
  RemoteOptions smart_host;               ///< towards the smart host
  asio::thread_pool* blocking = nullptr;  ///< where mail is converted
};

/// One worker's way to one domain. Keeps the connection between jobs.
class RemoteDelivery {
 public:
  RemoteDelivery(dns::Resolver& resolver, const RemoteConfig& config, std::string domain)
      : resolver_(resolver), config_(config), domain_(std::move(domain)) {}

  /// As many outcomes as items. Error only when cancelled.
  Task<std::vector<Outcome>> deliver(const Message& message, const std::vector<const LeasedItem*>& items,
                                     Content& content);
  /// Says QUIT.
  Task<void> close();

 private:
  Task<void> send_batch(const Message& message, const std::vector<const LeasedItem*>& items, std::size_t first,
                        std::size_t count, Content& content, std::vector<Outcome>& outcomes);
  /// The next connection that greets us; false when there is none left, and `failure_` says why.
  Task<bool> connect();
  /// Looks up the route and fills candidates_, or failure_.
  Task<void> look_up();

  dns::Resolver& resolver_;
  const RemoteConfig& config_;
  std::string domain_;
  std::unique_ptr<RemoteSession> session_;
  std::vector<std::pair<net::Endpoint, std::string>> candidates_;  ///< not tried yet in this delivery
  bool looked_up_ = false;                                         ///< in this delivery
  bool smart_host_ = false;
  Outcome failure_;
};

}  // namespace merpati::queue
