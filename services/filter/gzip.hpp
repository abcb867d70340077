// Gzip (RFC 1952), by libarchive.
#pragma once

#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::filter {

/// The same octets for the same ones: without a time.
Result<std::string> gzip(std::string_view octets);

}  // namespace merpati::filter
