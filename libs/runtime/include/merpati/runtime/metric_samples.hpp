// The metrics of a process as values, for who tells of them otherwise than Prometheus.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merpati/runtime/metrics.hpp"

namespace merpati::runtime {

struct Sample {
  std::string name;
  Metrics::Labels labels;
  double value = 0;
};

/// Every series but the buckets of histograms (their _count and _sum are there).
std::vector<Sample> samples_of(const Metrics& metrics);
/// The same out of Prometheus's text format; lines that are none are left out.
std::vector<Sample> parse_samples(std::string_view text);

}  // namespace merpati::runtime
