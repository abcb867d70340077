// Which names scripts may have.
#pragma once

#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::filter {

/// RFC 5804 1.6: UTF-8 without control characters, line or paragraph separators; and 1 to 512 octets. kInvalidArgument
/// with a text that is safe to show.
Result<void> check_script_name(std::string_view name);

}  // namespace merpati::filter
