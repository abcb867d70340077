// How octets are kept: raw, or zstd where that saves something.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::store {

enum class Codec : std::int16_t { kRaw = 0, kZstd = 1 };

struct Encoded {
  Codec codec = Codec::kRaw;
  std::string octets;
};

/// Compresses when the result is at least an eighth smaller. Any thread.
Encoded encode(std::string_view octets);
/// Compresses in any case.
std::string encode_always(std::string_view octets);
/// kDataLoss when `stored` is not what encode() gave for `size` octets.
Result<std::string> decode(Codec codec, std::string_view stored, std::uint64_t size);

}  // namespace merpati::store
