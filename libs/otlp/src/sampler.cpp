#include "merpati/otlp/sampler.hpp"

#include <charconv>

namespace merpati::otlp {

Sampler::Sampler(double ratio) : all_(ratio >= 1) {
  constexpr double kWhole = 72057594037927936.0;  // 2^56
  if (ratio > 0 && ratio < 1) below_ = static_cast<std::uint64_t>(ratio * kWhole);
}

bool Sampler::samples(std::string_view trace_id_hex) const {
  if (trace_id_hex.size() != 32) return false;
  if (all_) return true;
  std::uint64_t value = 0;
  std::from_chars(trace_id_hex.data() + 18, trace_id_hex.data() + 32, value, 16);
  return value < below_;
}

}  // namespace merpati::otlp
