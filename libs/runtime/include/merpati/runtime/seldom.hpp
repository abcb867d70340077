// Lines about what fails again and again while a part is away: one a second, which says how many were left out.
#pragma once

#include <optional>

#include "merpati/base/clock.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::log {

/// One for each place that logs, static. Thread safe.
class Seldom {
 public:
  explicit Seldom(std::chrono::nanoseconds every = std::chrono::seconds(1)) : every_(every) {}

  void warning(std::string_view event, std::string_view text, Fields fields = {});
  /// Whether a line is due: how many were left out since the last one. Counts this one when it is not.
  std::optional<std::uint64_t> due();

 private:
  const std::chrono::nanoseconds every_;
  std::atomic<std::int64_t> next_ = 0;
  std::atomic<std::uint64_t> left_out_ = 0;
};

}  // namespace merpati::log
