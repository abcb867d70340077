// PoolMetrics: what a pool tells Prometheus.
#pragma once

#include <memory>
#include <string>

#include "merpati/pg/pool.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::pg {

/// The histograms of the pool `name` ("store"), for PoolOptions::observer. `metrics` outlives the pool.
PoolObserver pool_observer(runtime::Metrics& metrics, const std::string& name);

/// Gauges and counters of merpati_pg_*, read at each scrape until the handle dies. `pool` outlives the handle.
[[nodiscard]] std::shared_ptr<void> export_pool(runtime::Metrics& metrics, const std::string& name, const Pool& pool);

}  // namespace merpati::pg
