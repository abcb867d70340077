// A dependency that is asked regularly whether it is there. /readyz's body, the metric merpati_dependency_up and the
// log tell; readiness does not change: callers avoid a replica that alone fails.
#pragma once

#include <functional>
#include <string>

#include "merpati/base/task.hpp"
#include "merpati/runtime/health.hpp"

namespace merpati::runtime {

/// Asks at once and then every `every` until cancelled; one answer may take as long. `name` is "SERVICE.WHAT".
asio::awaitable<void> watch_dependency(Health& health, std::string name, std::function<Task<void>(Deadline)> ask,
                                       std::chrono::nanoseconds every = std::chrono::seconds(5));

}  // namespace merpati::runtime
