// How many lines were written, for metrics.
#pragma once

#include <cstdint>
#include <string_view>

#include "merpati/runtime/log.hpp"

namespace merpati::log {

std::string_view name_of(Level level);
/// Lines of this level since the start.
std::uint64_t written(Level level);

}  // namespace merpati::log
