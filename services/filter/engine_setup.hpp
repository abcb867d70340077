// Every engine but the first (the structure's), as the configuration wants them.
#pragma once

#include <memory>

#include "merpati/base/task.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Filter;
}

namespace merpati::dns {
class Resolver;
}

namespace merpati::filter {

class FilterService;

/// Whether an engine asks DNS.
bool engines_need_dns(const config::v1::Filter& config);

/// Adds them to the service, before its first call; `tasks` runs what they do between messages. `resolver` may be null
/// where none needs it. kInvalidArgument names the key that is wrong. The process's loops outlive the service.
Result<void> add_engines(runtime::Process& process, const config::v1::Filter& config,
                         std::shared_ptr<dns::Resolver> resolver, FilterService& service, TaskGroup& tasks);

}  // namespace merpati::filter
