#include "merpati/pg/pool_metrics.hpp"

namespace merpati::pg {
namespace {

/// A counter that follows a total kept elsewhere.
class Follower {
 public:
  explicit Follower(runtime::Counter counter) : counter_(counter) {}
  void set(std::uint64_t total) {
    if (total > last_) counter_.add(static_cast<double>(total - last_));
    last_ = total;
  }

 private:
  runtime::Counter counter_;
  std::uint64_t last_ = 0;
};

}  // namespace

PoolObserver pool_observer(runtime::Metrics& metrics, const std::string& name) {
  const auto& bounds = runtime::Metrics::latency_bounds();
  const auto statement = [&](const char* lane) {
    return metrics.histogram("merpati_pg_statement_seconds", "From a statement's sending to its answer", bounds,
                             {{"pool", name}, {"lane", lane}});
  };
  const auto wait = metrics.histogram("merpati_pg_wait_seconds", "Wait of a statement for a place on a connection",
                                      bounds, {{"pool", name}});
  const auto read = statement("read");
  const auto write = statement("write");
  PoolObserver observer;
  observer.waited = [wait](double seconds) { wait.observe(seconds); };
  observer.answered = [read, write](Lane lane, double seconds) {
    (lane == Lane::kRead ? read : write).observe(seconds);
  };
  return observer;
}

std::shared_ptr<void> export_pool(runtime::Metrics& metrics, const std::string& name, const Pool& pool) {
  const runtime::Metrics::Labels labels{{"pool", name}};
  const auto gauge = [&](const char* metric, const char* help) { return metrics.gauge(metric, help, labels); };
  const auto counter = [&](const char* metric, const char* help) {
    return Follower(metrics.counter(metric, help, labels));
  };
  const auto connections = gauge("merpati_pg_connections", "Connections to PostgreSQL");
  const auto in_flight = gauge("merpati_pg_in_flight_statements", "Statements sent and not answered");
  const auto waiting = gauge("merpati_pg_waiting_statements", "Statements that wait for a place on a connection");
  const auto available = gauge("merpati_pg_available", "1 while PostgreSQL can be reached");
  auto update = [&pool, connections, in_flight, waiting, available,
                 statements = counter("merpati_pg_statements_total", "Statements asked for"),
                 failures = counter("merpati_pg_failed_statements_total", "Statements that ended with an error"),
                 conflicts = counter("merpati_pg_conflicts_total", "Statements repeated after a conflict"),
                 connects = counter("merpati_pg_connects_total", "Connections opened"),
                 refused =
                     counter("merpati_pg_failed_connects_total", "Connections that could not be opened")]() mutable {
    const auto stats = pool.stats();
    connections.set(static_cast<double>(stats.connections));
    in_flight.set(static_cast<double>(stats.in_flight));
    waiting.set(static_cast<double>(stats.waiting));
    available.set(pool.available() ? 1 : 0);
    statements.set(stats.queries);
    failures.set(stats.failures);
    conflicts.set(stats.conflicts);
    connects.set(stats.connects);
    refused.set(stats.connect_failures);
  };
  return metrics.before_scrape(std::move(update));
}

}  // namespace merpati::pg
