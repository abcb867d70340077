// Guarded<T> keeps data inside its mutex: guarded.with([](T& data) { ... }).
#pragma once

#include <mutex>
#include <utility>

namespace merpati {

template <class T>
class Guarded {
 public:
  template <class... Args>
  explicit Guarded(Args&&... args) : data_(std::forward<Args>(args)...) {}

  /// Runs `use` under the lock and returns what it returns. Never co_await inside.
  template <class Use>
  decltype(auto) with(Use&& use) {
    std::lock_guard lock(mutex_);
    return std::forward<Use>(use)(data_);
  }
  template <class Use>
  decltype(auto) with(Use&& use) const {
    std::lock_guard lock(mutex_);
    return std::forward<Use>(use)(data_);
  }

 private:
  mutable std::mutex mutex_;
  T data_;
};

}  // namespace merpati
