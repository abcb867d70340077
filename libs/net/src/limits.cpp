#include "merpati/net/limits.hpp"

#include <atomic>
#include <boost/asio/ip/address_v6.hpp>
#include <string>
#include <unordered_map>

#include "merpati/base/guarded.hpp"

namespace merpati::net {
namespace {

std::string key_of(const IpAddress& given) {
  const auto address = unmapped(given);
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return {bytes.begin(), bytes.end()};
  }
  const auto bytes = address.to_v6().to_bytes();
  return {bytes.begin(), bytes.begin() + 8};
}

}  // namespace

struct ConnectionLimits::State {
  Options options;
  std::atomic<std::size_t> total = 0;
  Guarded<std::unordered_map<std::string, std::size_t>> by_address;
};

ConnectionLimits::ConnectionLimits(Options options) : state_(std::make_shared<State>()) {
  state_->options = std::move(options);
}
ConnectionLimits::~ConnectionLimits() = default;

ConnectionLimits::Place ConnectionLimits::enter() {
  const auto limit = state_->options.total;
  if (state_->total.fetch_add(1) >= limit && limit != 0) {
    state_->total.fetch_sub(1);
    return nullptr;
  }
  return Place(state_.get(), [state = state_](void*) { state->total.fetch_sub(1); });
}

ConnectionLimits::Place ConnectionLimits::enter_from(const IpAddress& client) {
  const auto limit = state_->options.per_address;
  if (limit == 0 || state_->options.exempt.contains(client)) return Place(state_.get(), [](void*) {});
  auto key = key_of(client);
  const bool entered = state_->by_address.with([&](auto& map) {
    auto& count = map[key];
    if (count >= limit) return false;
    ++count;
    return true;
  });
  if (!entered) return nullptr;
  return Place(state_.get(), [state = state_, key = std::move(key)](void*) {
    state->by_address.with([&](auto& map) {
      const auto at = map.find(key);
      if (--at->second == 0) map.erase(at);
    });
  });
}

std::size_t ConnectionLimits::current() const { return state_->total.load(); }

}  // namespace merpati::net
