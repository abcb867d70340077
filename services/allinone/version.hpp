// The program's version and the machine's name.
#pragma once

#include <string>

namespace merpati::allinone {

inline constexpr const char* kVersion = "0.1.0";

/// gethostname().
std::string machine_name();

}  // namespace merpati::allinone
