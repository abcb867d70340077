// Figures: what GetStatus tells of sessions, pools, queue and store, out of the process's metrics.
#pragma once

#include "merpati/runtime/metric_samples.hpp"
#include "merpati/runtime/v1/status.pb.h"

namespace merpati::allinone {

/// Fills the figures of `status`. What has no metric in this process is left out.
void fill_figures(const std::vector<runtime::Sample>& samples, runtime::v1::GetStatusResponse& status);

}  // namespace merpati::allinone
