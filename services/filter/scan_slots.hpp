// ScanSlots: how many scans may be under way; the others wait in order.
#pragma once

#include <list>
#include <memory>

#include "merpati/base/guarded.hpp"
#include "merpati/base/wakeup.hpp"

namespace merpati::filter {

/// Thread safe. Outlived by nothing but its places.
class ScanSlots {
 public:
  using Place = std::shared_ptr<void>;
  explicit ScanSlots(std::size_t most) : state_(std::make_shared<Guarded<State>>(State{most, {}})) {}

  /// Given back when destroyed. kCancelled when the caller is cancelled.
  Task<Place> enter();

 private:
  struct Waiter {
    Wakeup wakeup;
    bool granted = false;  ///< guarded by the state
  };
  struct State {
    std::size_t free;
    std::list<std::shared_ptr<Waiter>> waiting;
  };
  static void give_back(Guarded<State>& state);

  std::shared_ptr<Guarded<State>> state_;
};

}  // namespace merpati::filter
