// The store's metrics.
#pragma once

#include <array>
#include <memory>

#include "merpati/objects/object_store.hpp"
#include "merpati/runtime/metrics.hpp"
#include "store/arrivals.hpp"

namespace merpati::store {

/// Handles; a default one counts nothing. Thread safe.
class Probe {
 public:
  enum class Kind { kDelivery, kAppend };
  Probe() = default;
  explicit Probe(runtime::Metrics& metrics);
  void arrived(Kind kind, ArrivalResult::Status status) const {
    arrivals_[static_cast<std::size_t>(kind)][static_cast<std::size_t>(status)].add();
  }
  /// Copies in one commit.
  void committed(std::size_t copies) const { batch_.observe(static_cast<double>(copies)); }

 private:
  static constexpr std::size_t kResults = 9;  ///< ArrivalResult::Status, from 1
  std::array<std::array<runtime::Counter, kResults>, 2> arrivals_;
  runtime::Histogram batch_;
};

/// Latencies and errors of the object store.
objects::Observer object_observer(runtime::Metrics& metrics);

}  // namespace merpati::store
