// Wakeup: one coroutine sleeps, anybody wakes it from any thread. The bridge between callbacks and coroutines.
#pragma once

#include <memory>

#include "merpati/base/task.hpp"

namespace merpati {

/// Remembers one notification, so that none is lost between two waits. One waiter at a time. Thread safe.
class Wakeup {
 public:
  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  /// Returns after the next notify(), or at once when one came since the last wait; kCancelled when the waiting
  /// coroutine is cancelled. The object may be destroyed while somebody waits: the wait then ends with kCancelled.
  Task<void> wait();
  /// Wakes the waiter by posting to its executor; never runs its code inline.
  void notify();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace merpati
