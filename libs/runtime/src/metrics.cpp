#include "merpati/runtime/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>

namespace merpati::runtime {

void Counter::add(double count) const {
  if (counter_ != nullptr) counter_->Increment(count);
}
double Counter::value() const { return counter_ == nullptr ? 0 : counter_->Value(); }
void Gauge::set(double value) const {
  if (gauge_ != nullptr) gauge_->Set(value);
}
void Gauge::add(double count) const {
  if (gauge_ != nullptr) gauge_->Increment(count);
}
double Gauge::value() const { return gauge_ == nullptr ? 0 : gauge_->Value(); }
void Histogram::observe(double value) const {
  if (histogram_ != nullptr) histogram_->Observe(value);
}

struct Metrics::State {
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  std::mutex mutex;
  std::map<int, std::function<void()>> updates;
  int next = 0;
};

Metrics::Metrics() : state_(std::make_shared<State>()) {}
Metrics::~Metrics() = default;

Counter Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  return Counter(&prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry).Add(labels));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  return Gauge(&prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry).Add(labels));
}

Histogram Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                             const Labels& labels) {
  return Histogram(&prometheus::BuildHistogram().Name(name).Help(help).Register(state_->registry).Add(labels, bounds));
}

const std::vector<double>& Metrics::latency_bounds() {
  static const std::vector<double> kBounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                              0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};
  return kBounds;
}

const std::vector<double>& Metrics::size_bounds() {
  static const std::vector<double> kBounds = {1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
  return kBounds;
}

std::shared_ptr<void> Metrics::before_scrape(std::function<void()> update) {
  std::lock_guard lock(state_->mutex);
  const int id = state_->next++;
  state_->updates.emplace(id, std::move(update));
  return {nullptr, [state = std::weak_ptr(state_), id](void*) {
            auto alive = state.lock();
            if (!alive) return;
            std::lock_guard inner(alive->mutex);
            alive->updates.erase(id);
          }};
}

std::string Metrics::text() const {
  {
    std::lock_guard lock(state_->mutex);  // held while they run, so that a removed one never runs again
    for (const auto& [id, update] : state_->updates) update();
  }
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace merpati::runtime
