// google.protobuf.Duration and text to std::chrono, without protobuf's header.
#pragma once

#include <chrono>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::runtime {

/// Any type with seconds() and nanos().
template <class D>
std::chrono::nanoseconds to_chrono(const D& duration) {
  return std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
}

/// "30s", "5m", "1h30m", "500ms", as in the configuration.
Result<std::chrono::nanoseconds> duration_from(std::string_view text);

}  // namespace merpati::runtime
