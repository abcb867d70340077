// The resolver of all engines, as the configuration wants it.
#pragma once

#include <memory>

#include "merpati/base/result.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Filter;
}
namespace merpati::dns {
class Resolver;
}

namespace merpati::filter {

/// Caches, and waits little while DNS says nothing. The process's loops outlive it.
Result<std::shared_ptr<dns::Resolver>> make_resolver(runtime::Process& process, const config::v1::Filter& config);

}  // namespace merpati::filter
