#include "merpati/runtime/metric_samples.hpp"

#include <gtest/gtest.h>

namespace merpati::runtime {
namespace {

const Sample* find(const std::vector<Sample>& samples, const std::string& name) {
  for (const auto& sample : samples)
    if (sample.name == name) return &sample;
  return nullptr;
}

TEST(MetricSamples, AreWhatTheRegistryHolds) {
  Metrics metrics;
  metrics.counter("a_total", "help", {{"x", "a \"quoted\" \\ value,\nwith {all}"}, {"y", "2"}}).add(1234567890);
  metrics.gauge("b", "help").set(-0.25);
  const auto histogram = metrics.histogram("c_seconds", "help", {0.1, 1});
  histogram.observe(0.5);
  histogram.observe(2);
  const auto samples = samples_of(metrics);
  ASSERT_NE(find(samples, "a_total"), nullptr);
  EXPECT_EQ(find(samples, "a_total")->value, 1234567890);
  EXPECT_EQ(find(samples, "a_total")->labels,
            (Metrics::Labels{{"x", "a \"quoted\" \\ value,\nwith {all}"}, {"y", "2"}}));
  EXPECT_EQ(find(samples, "b")->value, -0.25);
  EXPECT_EQ(find(samples, "c_seconds_count")->value, 2);
  EXPECT_EQ(find(samples, "c_seconds_sum")->value, 2.5);
  EXPECT_EQ(find(samples, "c_seconds_bucket"), nullptr);
  EXPECT_EQ(samples.size(), 4U);
}

TEST(MetricSamples, LeaveOutWhatIsNoSeries) {
  EXPECT_TRUE(parse_samples("# HELP x y\nx\nx{a=\"b\" 1\nx{a=\"b 1\n{} 1\nx one\n\n").empty());
}

}  // namespace
}  // namespace merpati::runtime
