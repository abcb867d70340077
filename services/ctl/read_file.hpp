// Files that the arguments of a command name.
#pragma once

#include <string>

namespace merpati::ctl {

/// The octets of a file, or of standard input for "-". Throws Failure.
std::string read_file(const std::string& path);

}  // namespace merpati::ctl
