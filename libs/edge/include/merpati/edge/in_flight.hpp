// InFlight: octets that sessions hold for their clients on the way to a backend, over all loops of the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace merpati::edge {

/// Thread safe; outlives its places.
class InFlight {
 public:
  using Place = std::shared_ptr<void>;
  explicit InFlight(std::uint64_t most) : most_(most) {}
  /// Room for so many octets, given back when destroyed; empty when there is too little.
  Place enter(std::uint64_t octets) {
    if (octets_.fetch_add(octets) + octets > most_) {
      octets_.fetch_sub(octets);
      return nullptr;
    }
    return {this, [this, octets](void*) { octets_.fetch_sub(octets); }};
  }

 private:
  const std::uint64_t most_;
  std::atomic<std::uint64_t> octets_ = 0;
};

}  // namespace merpati::edge
