#include "pop3/edge.hpp"

namespace merpati::pop3 {

bool LoginDelays::admit(std::int64_t account, SteadyTime now) {
  if (delay_ <= std::chrono::nanoseconds::zero()) return true;
  return last_.with([&](auto& last) {
    constexpr std::size_t kSweepAt = 10000;
    if (last.size() >= kSweepAt) std::erase_if(last, [&](const auto& entry) { return now - entry.second >= delay_; });
    const auto [at, fresh] = last.try_emplace(account, now);
    if (fresh) return true;
    if (now - at->second < delay_) return false;
    at->second = now;
    return true;
  });
}

}  // namespace merpati::pop3
