// Purges: accounts whose 30 days as a tombstone are over, told by auth's feed to every service that has something of
// them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::rpc {

struct PurgeHandlers {
  std::string service;  ///< for the log
  /// The position in auth's feed up to which everything was done, as `save` last kept it; 0: nothing yet.
  std::function<Task<std::int64_t>()> load;
  std::function<Task<void>(std::int64_t position)> save;
  std::function<Task<void>(std::int64_t account_id)> purge;
};

/// Follows auth's feed until it is cancelled, from where this service's replicas left off, so that a purge is carried
/// out although no replica ran when it was told. Each replica does so; a purge that was done is nothing to do.
asio::awaitable<void> follow_purges(std::shared_ptr<Channel> auth, PurgeHandlers handlers);

}  // namespace merpati::rpc
