#include "filter/circuit_breaker.hpp"

namespace merpati::filter {

bool CircuitBreaker::allow(Time now) {
  const std::lock_guard lock(mutex_);
  if (!open_) return true;
  if (probing_ || now < probe_at_) return false;
  probing_ = true;
  return true;
}

CircuitBreaker::Change CircuitBreaker::success() {
  const std::lock_guard lock(mutex_);
  failed_ = 0;
  probing_ = false;
  if (!open_) return Change::kNone;
  open_ = false;
  return Change::kClosed;
}

CircuitBreaker::Change CircuitBreaker::failure(Time now) {
  const std::lock_guard lock(mutex_);
  probing_ = false;
  if (open_) {
    probe_at_ = now + settings_.pause;
    return Change::kNone;
  }
  if (++failed_ < settings_.failures) return Change::kNone;
  open_ = true;
  probe_at_ = now + settings_.pause;
  return Change::kOpened;
}

void CircuitBreaker::abandoned() {
  const std::lock_guard lock(mutex_);
  probing_ = false;
}

bool CircuitBreaker::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

}  // namespace merpati::filter
