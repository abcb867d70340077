// Exporter: spans to a collector, by OTLP over gRPC.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "merpati/base/result.hpp"
#include "merpati/runtime/metrics.hpp"
#include "merpati/runtime/span.hpp"

namespace merpati::config::v1 {
class Otlp;
}

namespace merpati::otlp {

/// Who sends: resource attributes of every span.
struct Resource {
  std::string service;   ///< "merpati-store"
  std::string instance;  ///< the replica's name
  std::string version;
};

/// Owns a thread. take() is for any thread and never waits.
class Exporter : public runtime::SpanSink {
 public:
  /// Null when the configuration names no endpoint. kInvalidArgument says what is wrong with it. `metrics` outlives it.
  static Result<std::shared_ptr<Exporter>> make(const config::v1::Otlp& config, Resource resource,
                                                runtime::Metrics& metrics);
  /// Tries once to send what waits, at most a second or two, and ends the thread.
  virtual void stop() = 0;
};

}  // namespace merpati::otlp
