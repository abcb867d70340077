// What this machine, or pod, calls itself.
#pragma once

#include <string>

namespace merpati::runtime {

/// gethostname(); "localhost" where there is no name. Any thread.
std::string machine_name();

}  // namespace merpati::runtime
