// S3Pulse: what the requests of one store know together about whether its endpoint is there. Thread safe.
#pragma once

#include <atomic>

#include "merpati/base/clock.hpp"

namespace merpati::objects {

class S3Pulse {
 public:
  /// Somebody got an octet from the endpoint.
  void heard() {
    heard_at_ = now();
    silent_ = false;
  }
  bool heard_within(std::chrono::nanoseconds time) const { return now() - heard_at_ < time.count(); }
  /// Somebody waited in vain.
  void fell_silent() {
    tried_at_ = now();
    silent_ = true;
  }
  /// Whether a request need not be tried: the endpoint is silent, and somebody found that out a moment ago.
  bool refuses() {
    if (!silent_) return false;
    auto before = tried_at_.load();
    return now() - before < kBetweenTrials.count() || !tried_at_.compare_exchange_strong(before, now());
  }

 private:
  static constexpr std::chrono::nanoseconds kBetweenTrials = std::chrono::milliseconds(500);
  static std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

  std::atomic<bool> silent_ = false;
  std::atomic<std::int64_t> heard_at_ = 0;
  std::atomic<std::int64_t> tried_at_ = 0;
};

}  // namespace merpati::objects
