// Keeps calls away from an engine that fails: after some failures in a row it is left alone for a while, then one call
// probes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <mutex>

namespace merpati::filter {

/// Thread safe. Times are the caller's, so that tests need no clock.
class CircuitBreaker {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Settings {
    std::uint32_t failures = 5;               ///< in a row, that open it
    std::chrono::milliseconds pause{10'000};  ///< until a probe
  };
  /// Of an engine that is our own code, in this process: to leave it alone after failures would help nobody.
  static Settings never() { return {.failures = std::numeric_limits<std::uint32_t>::max()}; }
  enum class Change : std::uint8_t { kNone, kOpened, kClosed };

  CircuitBreaker() = default;
  explicit CircuitBreaker(Settings settings) : settings_(settings) {}

  /// Whether a call may be made now. Who gets true must report its end by success(), failure() or abandoned().
  bool allow(Time now);
  Change success();
  Change failure(Time now);
  /// The call ended without saying anything of the engine (its caller went away): a probe may be made again.
  void abandoned();
  bool open() const;

 private:
  const Settings settings_;
  mutable std::mutex mutex_;
  std::uint32_t failed_ = 0;
  bool open_ = false;
  bool probing_ = false;
  Time probe_at_;
};

}  // namespace merpati::filter
