// The collector: clears graves, removes octets that nothing uses and delivery ids that are old enough.
#pragma once

#include "store/core.hpp"

namespace merpati::store {

/// Runs until cancelled. Every replica runs one; rows that another works on are skipped.
asio::awaitable<void> collect_for_ever(Core& core);
/// One round; returns what it removed in all. `now` shifts the clock for tests.
Task<std::int64_t> collect_once(Core& core, WallTime now);

}  // namespace merpati::store
