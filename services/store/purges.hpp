// Purges: accounts whose 30 days as a tombstone are over lose what they had here.
#pragma once

#include <memory>

#include "merpati/rpc/channel.hpp"
#include "store/core.hpp"

namespace merpati::store {

/// Carries them out until it is cancelled (merpati/rpc/purges.hpp).
asio::awaitable<void> purge_for_ever(Core& core, std::shared_ptr<rpc::Channel> auth);

}  // namespace merpati::store
