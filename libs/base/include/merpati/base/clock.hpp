// Time: an injectable clock, and Deadline, which every wait takes.
#pragma once

#include <algorithm>
#include <chrono>

namespace merpati {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

/// Where code asks for the time, so that tests can set it. Thread safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime steady() const = 0;
  virtual WallTime wall() const = 0;
  /// The machine's clock.
  static const Clock& system();
};

/// The instant by which an operation must have ended. Deadlines only shrink on the way down.
class Deadline {
 public:
  Deadline() = default;  ///< never
  explicit Deadline(SteadyTime at) : at_(at) {}
  static Deadline after(std::chrono::nanoseconds wait) {
    return Deadline(std::chrono::steady_clock::now() +
                    std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait));
  }
  static Deadline never() { return {}; }

  SteadyTime at() const { return at_; }
  bool is_never() const { return at_ == SteadyTime::max(); }
  bool passed() const { return !is_never() && std::chrono::steady_clock::now() >= at_; }
  /// What is left, never negative.
  std::chrono::nanoseconds left() const {
    if (is_never()) return std::chrono::nanoseconds::max();
    return std::max(std::chrono::nanoseconds(0), std::chrono::nanoseconds(at_ - std::chrono::steady_clock::now()));
  }
  /// The earlier of this and `wait` from now.
  Deadline within(std::chrono::nanoseconds wait) const { return Deadline(std::min(at_, after(wait).at_)); }
  Deadline earlier(Deadline other) const { return Deadline(std::min(at_, other.at_)); }

 private:
  SteadyTime at_ = SteadyTime::max();
};

}  // namespace merpati
