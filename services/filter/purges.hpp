// Purges: accounts whose 30 days as a tombstone are over lose what they had here.
#pragma once

#include <functional>
#include <memory>

#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::filter {

/// Carries them out until it is cancelled (merpati/rpc/purges.hpp): `purge` ends all that an account had here.
asio::awaitable<void> purge_for_ever(pg::Pool& pool, std::function<Task<void>(std::int64_t account)> purge,
                                     std::shared_ptr<rpc::Channel> auth);

}  // namespace merpati::filter
