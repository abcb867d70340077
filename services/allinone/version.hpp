// The program's version.
#pragma once

namespace merpati::allinone {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace merpati::allinone
