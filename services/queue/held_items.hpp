// Held items whose Release or Drop never came: the store knows how their transaction ended.
#pragma once

#include <memory>

#include "merpati/rpc/channel.hpp"
#include "queue/repository.hpp"

namespace merpati::queue {

/// Looks once at what has been held longer than `age`. Committed means release; else the store has written a tombstone,
/// and the items are dropped. Returns how many deliveries were released.
Task<std::size_t> resolve_held(Repository& repository, std::shared_ptr<rpc::Channel> store,
                               std::chrono::nanoseconds age);

}  // namespace merpati::queue
