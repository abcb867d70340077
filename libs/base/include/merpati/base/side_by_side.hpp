// Coroutines side by side: starts some, and goes on when all have ended.
#pragma once

#include <vector>

#include "merpati/base/task.hpp"

namespace merpati {

/// Runs all on the caller's executor, which runs one thing at a time, and returns when the last has ended. When the
/// caller is cancelled all are cancelled and waited for, then it fails with kCancelled. What escapes a body as an
/// exception ends the process: it is a bug.
Task<void> run_side_by_side(std::vector<asio::awaitable<void>> bodies);

}  // namespace merpati
