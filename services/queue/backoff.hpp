// When to try again.
#pragma once

#include <algorithm>
#include <chrono>

namespace merpati::queue {

struct RetryPolicy {
  std::chrono::nanoseconds first = std::chrono::minutes(5);
  std::chrono::nanoseconds max = std::chrono::hours(4);
};

/// `random` in [0, 1) spreads the wait by a fifth to both sides.
inline std::chrono::milliseconds spread(std::chrono::nanoseconds wait, double random) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(wait) *
                                                               (0.8 + 0.4 * random));
}

/// After the remote host's failure. `attempts` were made (1 or more); doubles up to the maximum, but not beyond twice
/// the item's age, so that attempts which never got to the host count for little.
inline std::chrono::milliseconds retry_wait(const RetryPolicy& policy, int attempts, std::chrono::nanoseconds age,
                                            double random) {
  auto wait = policy.first;
  for (int i = 1; i < attempts && wait < policy.max; ++i) wait *= 2;
  wait = std::min({wait, policy.max, std::max(policy.first, 2 * age)});
  return spread(wait, random);
}

/// After a failure of ours: five seconds, and later a tenth of the item's age, so that what waited for a part that was
/// away goes on soon after that is back.
inline std::chrono::milliseconds wait_for_ours(const RetryPolicy& policy, std::chrono::nanoseconds age, double random) {
  const auto least = std::min<std::chrono::nanoseconds>(std::chrono::seconds(5), policy.first);
  return spread(std::clamp<std::chrono::nanoseconds>(age / 10, least, std::max(least, policy.max)), random);
}

}  // namespace merpati::queue
