// Purges: accounts whose 30 days as a tombstone are over lose what they had here.
#pragma once

#include <memory>

#include "merpati/rpc/channel.hpp"
#include "store/core.hpp"

namespace merpati::store {

/// Follows auth's feed until it is cancelled, from where this store's replicas left off, so that a purge is carried out
/// although no replica ran when it was told. Each replica does so; a purge that was done is nothing to do.
asio::awaitable<void> purge_for_ever(Core& core, std::shared_ptr<rpc::Channel> auth);

}  // namespace merpati::store
