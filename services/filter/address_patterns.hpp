// "user@example.com", "example.com", "*.example.com": how the configuration names addresses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::filter {

/// The key under which an entry is kept: "user@domain", "domain", or ".domain" for what is below it; A-labels in lower
/// case. kInvalidArgument when it is none of these.
Result<std::string> address_pattern(std::string_view entry);

/// The keys of the entries that fit an address, the most exact one first: the address before its domain, then the
/// nearest domain above. None when it is no address.
std::vector<std::string> patterns_for(std::string_view address);

}  // namespace merpati::filter
