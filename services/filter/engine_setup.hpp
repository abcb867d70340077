// Every engine but the first (the structure's), as the configuration wants them.
#pragma once

#include "merpati/base/task.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Filter;
}

namespace merpati::filter {

class FilterService;

/// Adds them to the service, before its first call; `tasks` runs what they do between messages. kInvalidArgument names
/// the key that is wrong. The process's loops outlive the service.
Result<void> add_engines(runtime::Process& process, const config::v1::Filter& config, FilterService& service,
                         TaskGroup& tasks);

}  // namespace merpati::filter
