// Sampler: which traces are exported, when nobody has decided before.
#pragma once

#include <cstdint>
#include <string_view>

namespace merpati::otlp {

/// By the last 14 of the trace id's 32 hex digits, which W3C trace context wants to be random: every process with the
/// same ratio decides alike.
class Sampler {
 public:
  /// `ratio` from 0 (none) to 1 (all).
  explicit Sampler(double ratio);
  bool samples(std::string_view trace_id_hex) const;

 private:
  bool all_ = false;
  std::uint64_t below_ = 0;
};

}  // namespace merpati::otlp
