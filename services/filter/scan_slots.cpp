#include "filter/scan_slots.hpp"

namespace merpati::filter {

void ScanSlots::give_back(Guarded<State>& state) {
  const auto next = state.with([](State& s) -> std::shared_ptr<Waiter> {
    if (s.waiting.empty()) {
      ++s.free;
      return nullptr;
    }
    auto first = std::move(s.waiting.front());
    s.waiting.pop_front();
    first->granted = true;
    return first;
  });
  if (next) next->wakeup.notify();
}

Task<ScanSlots::Place> ScanSlots::enter() {
  const auto waiter = state_->with([](State& s) -> std::shared_ptr<Waiter> {
    if (s.free > 0) {
      --s.free;
      return nullptr;
    }
    auto added = std::make_shared<Waiter>();
    s.waiting.push_back(added);
    return added;
  });
  if (waiter) {
    auto waited = co_await waiter->wakeup.wait();
    if (waited.has_error()) {
      const bool granted = state_->with([&](State& s) {
        s.waiting.remove(waiter);
        return waiter->granted;
      });
      if (granted) give_back(*state_);
      co_return std::move(waited).error();
    }
  }
  // The pointer is only to be not null.
  Place place(state_.get(), [state = state_](void*) { give_back(*state); });
  co_return place;
}

}  // namespace merpati::filter
