#include "merpati/runtime/seldom.hpp"

namespace merpati::log {

std::optional<std::uint64_t> Seldom::due() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  auto next = next_.load(std::memory_order_relaxed);
  if (now < next || !next_.compare_exchange_strong(next, now + every_.count())) {
    left_out_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return left_out_.exchange(0, std::memory_order_relaxed);
}

void Seldom::warning(std::string_view event, std::string_view text, Fields fields) {
  if (!enabled(Level::kWarning)) return;
  const auto left_out = due();
  if (!left_out) return;
  if (*left_out == 0) return write(Level::kWarning, event, text, fields);
  write(Level::kWarning, event, std::string(text) + " (and " + std::to_string(*left_out) + " more like this)", fields);
}

}  // namespace merpati::log
