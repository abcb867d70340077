// Fail points: named places where a test build can be told to die, fail or wait. Compiled out of release builds.
// MERPATI_FAIL_POINT is set by the environment variable
// MERPATI_FAIL_POINTS_ACTIVE="name=kill,other=error,third=sleep:200"; "name=kill@3" acts at the third time only.
#pragma once

#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati {

/// What the active fail point of this name wants: nothing, an error, or it does not return (kill -9 of the process).
Result<void> fail_point(std::string_view name);

}  // namespace merpati

#ifdef MERPATI_FAIL_POINTS
#define MERPATI_FAIL_POINT(name) MERPATI_CHECK(::merpati::fail_point(name))
#define MERPATI_CO_FAIL_POINT(name) MERPATI_CO_CHECK(::merpati::fail_point(name))
#else
#define MERPATI_FAIL_POINT(name) static_cast<void>(0)
#define MERPATI_CO_FAIL_POINT(name) static_cast<void>(0)
#endif
