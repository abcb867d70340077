// google.protobuf.Duration to std::chrono, without its header.
#pragma once

#include <chrono>

namespace merpati::runtime {

/// Any type with seconds() and nanos().
template <class D>
std::chrono::nanoseconds to_chrono(const D& duration) {
  return std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
}

}  // namespace merpati::runtime
