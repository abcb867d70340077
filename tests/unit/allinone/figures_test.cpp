#include "allinone/figures.hpp"

#include <gtest/gtest.h>

namespace merpati::allinone {
namespace {

TEST(Figures, AreSumsOverTheLabelsOfWhatRunsHere) {
  runtime::Metrics metrics;
  metrics.gauge("merpati_imap_sessions", "").set(7);
  metrics.counter("merpati_imap_commands_total", "", {{"command", "NOOP"}, {"result", "ok"}}).add(5);
  metrics.counter("merpati_imap_commands_total", "", {{"command", "FETCH"}, {"result", "no"}}).add(2);
  metrics.counter("merpati_imap_commands_total", "", {{"command", "none"}, {"result", "bad"}}).add(1);
  metrics.counter("merpati_rpc_calls_total", "", {{"method", "/x"}, {"code", "OK"}}).add(10);
  metrics.counter("merpati_rpc_calls_total", "", {{"method", "/x"}, {"code", "UNAVAILABLE"}}).add(3);
  metrics.counter("merpati_rpc_calls_total", "", {{"method", "/x"}, {"code", "NOT_FOUND"}}).add(4);
  metrics.gauge("merpati_pg_connections", "", {{"pool", "store"}}).set(6);
  metrics.gauge("merpati_pg_connections", "", {{"pool", "queue"}}).set(2);
  metrics.gauge("merpati_pg_available", "", {{"pool", "store"}}).set(1);
  metrics.histogram("merpati_pg_wait_seconds", "", {1, 2}, {{"pool", "store"}}).observe(1.5);
  runtime::v1::GetStatusResponse status;
  fill_figures(runtime::samples_of(metrics), status);

  ASSERT_EQ(status.edges_size(), 1) << "no SMTP and no POP3 here";
  EXPECT_EQ(status.edges(0).commands_total(), 8);
  EXPECT_EQ(status.edges(0).failed_commands_total(), 3);
  EXPECT_EQ(status.connections(), 7);
  EXPECT_EQ(status.rpc().calls_total(), 17);
  EXPECT_EQ(status.rpc().errors_total(), 3) << "what was not found is no error of the platform";
  ASSERT_EQ(status.pools_size(), 2);
  EXPECT_EQ(status.pools(1).name(), "store");
  EXPECT_EQ(status.pools(1).connections(), 6);
  EXPECT_DOUBLE_EQ(status.pools(1).wait_seconds_total(), 1.5);
  EXPECT_TRUE(status.pools(1).available());
  EXPECT_FALSE(status.has_queue());
  EXPECT_FALSE(status.has_store());
}

}  // namespace
}  // namespace merpati::allinone
