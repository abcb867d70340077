// The engine of mail authentication as the configuration wants it.
#pragma once

#include <memory>

#include "filter/engine.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::config::v1 {
class Filter;
}

namespace merpati::dns {
class Resolver;
}

namespace merpati::filter {

/// Null where it is switched off. The process's loops outlive it. kInvalidArgument names the key that is wrong.
Result<std::shared_ptr<Engine>> make_mail_authentication(runtime::Process& process, const config::v1::Filter& config,
                                                         std::shared_ptr<dns::Resolver> resolver);

}  // namespace merpati::filter
