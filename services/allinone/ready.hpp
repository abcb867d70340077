// `merpati ready`: the probe of a container whose runtime can only run commands.
#pragma once

#include <chrono>

#include "merpati/base/result.hpp"
#include "merpati/config/v1/config.pb.h"

namespace merpati::allinone {

/// Asks /readyz of the process that runs with this configuration on this machine. kUnavailable when it does not answer
/// within `wait`, or answers that it is not ready (the error has its reasons). Blocks.
Result<void> ask_ready(const config::v1::Http& http, std::chrono::milliseconds wait);

}  // namespace merpati::allinone
