// When to try again.
#pragma once

#include <chrono>

namespace merpati::queue {

struct RetryPolicy {
  std::chrono::nanoseconds first = std::chrono::minutes(5);
  std::chrono::nanoseconds max = std::chrono::hours(4);
};

/// `attempts` were made (1 or more); doubles up to the maximum. `random` in [0, 1) spreads it by a fifth to both sides.
inline std::chrono::milliseconds retry_wait(const RetryPolicy& policy, int attempts, double random) {
  auto wait = policy.first;
  for (int i = 1; i < attempts && wait < policy.max; ++i) wait *= 2;
  if (wait > policy.max) wait = policy.max;
  const double spread = 0.8 + 0.4 * random;
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(wait) * spread);
}

}  // namespace merpati::queue
