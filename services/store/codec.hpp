// How octets are kept: raw, or zstd where that saves something.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::store {

/// The binary ones hold mail with NUL octets, which is shown through a view (summary.proto).
enum class Codec : std::int16_t { kRaw = 0, kZstd = 1, kRawBinary = 2, kZstdBinary = 3 };
inline bool is_binary(Codec codec) { return codec >= Codec::kRawBinary; }
inline bool is_raw(Codec codec) { return codec == Codec::kRaw || codec == Codec::kRawBinary; }
inline Codec as_binary(Codec codec) { return is_raw(codec) ? Codec::kRawBinary : Codec::kZstdBinary; }

struct Encoded {
  Codec codec = Codec::kRaw;
  std::string octets;
};

/// Compresses when the result is at least an eighth smaller. Any thread.
Encoded encode(std::string_view octets);
/// Compresses in any case.
std::string encode_always(std::string_view octets);
/// Of a binary codec's body too, whose size is what was stored. kDataLoss when `stored` is not what encode() gave for
/// `size` octets.
Result<std::string> decode(Codec codec, std::string_view stored, std::uint64_t size);

}  // namespace merpati::store
