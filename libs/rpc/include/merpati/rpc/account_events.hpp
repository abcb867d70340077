// auth's event feed, as every service that keeps something about accounts follows it.
#pragma once

#include <functional>
#include <memory>

#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/rpc/revocations.hpp"

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

/// Handlers that end the tokens of whoever changed the password, was disabled or deleted, or whose domain was disabled.
/// `ended` is told afterwards of the account, or of 0 when it concerns a whole domain; may be empty. `revocations`
/// outlives the handlers.
AccountEventHandlers on_revocation(Revocations& revocations, std::function<void(std::int64_t)> ended = {});

}  // namespace merpati::rpc
