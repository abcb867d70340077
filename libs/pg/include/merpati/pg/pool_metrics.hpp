// PoolMetrics: what a pool tells Prometheus.
#pragma once

#include <memory>
#include <string>

#include "merpati/pg/pool.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::pg {

/// Gauges and counters of merpati_pg_* with the label `name` ("store"), read at each scrape until the handle dies.
/// `pool` outlives the handle.
[[nodiscard]] std::shared_ptr<void> export_pool(runtime::Metrics& metrics, const std::string& name, const Pool& pool);

}  // namespace merpati::pg
