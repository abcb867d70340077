// auth's event feed, as every service that keeps something about accounts follows it.
#pragma once

#include <functional>
#include <memory>

#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::auth::v1 {
class Event;
}  // namespace merpati::auth::v1

namespace merpati::rpc {

struct AccountEventHandlers {
  /// Begins with the events of the last hour (tokens live shorter), and misses none when auth restarts.
  std::function<void(const auth::v1::Event&)> event;
  /// Whether events arrive; may be empty.
  std::function<void(bool)> alive;
};

/// Follows the feed until it is cancelled. The handlers run on the caller's executor.
asio::awaitable<void> follow_account_events(std::shared_ptr<Channel> auth, AccountEventHandlers handlers);

/// Handlers that end the tokens of whoever changed the password, was disabled or deleted; `revoke` is given the account
/// and the lowest credential_version that is still good.
AccountEventHandlers on_revocation(std::function<void(std::int64_t, std::int64_t)> revoke);

}  // namespace merpati::rpc
