#include "smtp/recipient_cache.hpp"

#include <algorithm>

namespace merpati::smtp {

RecipientCache::Answer RecipientCache::find(const std::string& address) const {
  const auto now = std::chrono::steady_clock::now();
  return state_.with([&](const State& state) -> Answer {
    const auto found = state.entries.find(address);
    return found != state.entries.end() && now < found->second.until ? found->second.answer : nullptr;
  });
}

void RecipientCache::put(const std::string& address, Answer answer) {
  const bool known = answer->status() == auth::v1::ResolveRecipientResponse::STATUS_LOCAL;
  auto keep = known ? kKnown : kUnknown;
  // A grant must still be good when the message has come in: up to half of its life is spent here.
  const auto wall = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  for (const auto& recipient : answer->recipients())
    keep = std::min(keep, std::chrono::seconds((recipient.claims().expires_at() - wall) / 2));
  if (keep.count() <= 0) return;
  state_.with([&](State& state) {
    const auto until = std::chrono::steady_clock::now() + (state.feed_alive ? keep : std::min(keep, kUnknown));
    if (state.entries.size() >= kMost) state.entries.clear();
    state.entries[address] = Entry{std::move(answer), until};
  });
}

void RecipientCache::clear() {
  state_.with([](State& state) { state.entries.clear(); });
}

void RecipientCache::set_feed_alive(bool alive) {
  state_.with([&](State& state) {
    state.feed_alive = alive;
    state.entries.clear();
  });
}

}  // namespace merpati::smtp
