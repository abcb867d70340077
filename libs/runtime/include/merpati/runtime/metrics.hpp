// Metrics: a registry of counters, gauges and histograms that /metrics prints in Prometheus's text form.
// Names are merpati_<service>_<thing>_<unit|total>; labels come from bounded sets, never an address or a domain.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace merpati::runtime {

/// Handles are cheap to copy and stay valid as long as their Metrics. All their methods are thread safe.
/// A default-constructed handle counts nothing.
class Counter {
 public:
  Counter() = default;
  explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
  void add(double count = 1) const;
  double value() const;

 private:
  prometheus::Counter* counter_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  void set(double value) const;
  void add(double count = 1) const;
  double value() const;

 private:
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  void observe(double value) const;

 private:
  prometheus::Histogram* histogram_ = nullptr;
};

class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// The metric of this name and labels, made at the first call. Looks up under a lock: keep the handle.
  Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  /// `bounds` are the buckets' upper bounds in ascending order; the first call of a name decides.
  Histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                      const Labels& labels = {});
  /// Seconds from 100 microseconds to 30 seconds.
  static const std::vector<double>& latency_bounds();
  /// Octets from 1 KiB to 64 MiB.
  static const std::vector<double>& size_bounds();

  /// `update` runs before each scrape, on the HTTP thread; removed when the returned handle dies.
  [[nodiscard]] std::shared_ptr<void> before_scrape(std::function<void()> update);
  /// Prometheus's text format, version 0.0.4.
  std::string text() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace merpati::runtime
