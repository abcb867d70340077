// The command `merpati certs`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merpati/config/v1/config.pb.h"

namespace merpati::certs {

/// One round over the folder or the Secrets that the configuration names; logs what changed. `directory` overrides the
/// configuration. Exit codes are the program's: 0 done, 1 failed, 2 wrong configuration.
int run_command(const config::v1::Config& config, const std::string& directory, bool rotate,
                const std::vector<std::string_view>& services);

}  // namespace merpati::certs
