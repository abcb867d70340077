// Purges: accounts whose 30 days as a tombstone are over lose what they had here.
#pragma once

#include <memory>

#include "filter/scripts.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::filter {

/// Carries them out until it is cancelled (merpati/rpc/purges.hpp).
asio::awaitable<void> purge_for_ever(pg::Pool& pool, Scripts& scripts, std::shared_ptr<rpc::Channel> auth);

}  // namespace merpati::filter
