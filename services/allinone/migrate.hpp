// The schemas of every service in one database or several.
#pragma once

#include <chrono>

#include "merpati/base/result.hpp"
#include "merpati/config/v1/config.pb.h"

namespace merpati::allinone {

/// Brings every schema that has a database up to date; waits at most `patience` for databases that cannot be reached
/// (another mistake is final). Blocking.
Result<void> migrate_all(const config::v1::Config& config, std::chrono::milliseconds patience);
/// Waits until somebody else has.
Result<void> wait_all(const config::v1::Config& config, std::chrono::milliseconds wait);

}  // namespace merpati::allinone
