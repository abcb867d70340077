#include "auth/slow_down.hpp"

#include <algorithm>
#include <cmath>

namespace merpati::auth {
namespace {

constexpr double kFreeForClient = 20, kFreeForAccount = 10;
constexpr double kHalfLifeSeconds = 300;
constexpr std::size_t kMost = 100'000;

}  // namespace

SlowDown::SlowDown(net::CidrSet trusted, const Clock& clock) : trusted_(std::move(trusted)), clock_(clock) {}

std::string SlowDown::key_of(const Client& client) const {
  if (client.proxy) return {};
  boost::system::error_code error;
  const auto parsed = net::unmapped(boost::asio::ip::make_address(client.address, error));
  if (error || trusted_.contains(parsed)) return {};
  if (parsed.is_v4()) return parsed.to_string();
  auto bytes = parsed.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);  // whoever has one address of a /64 has them all
  return boost::asio::ip::address_v6(bytes).to_string();
}

double SlowDown::now_score(const Score& score) const {
  const double seconds = std::chrono::duration<double>(clock_.steady() - score.last).count();
  return score.failures * std::exp2(-seconds / kHalfLifeSeconds);
}

std::optional<std::chrono::milliseconds> SlowDown::wait_of(const std::unordered_map<std::string, Score>& scores,
                                                           const std::string& key, double free) const {
  const auto found = scores.find(key);
  if (found == scores.end()) return std::nullopt;
  const double over = now_score(found->second) - free;
  if (over <= 0) return std::nullopt;
  // Half a second after the first failure too many, doubling, at most a minute.
  const auto pause = std::chrono::milliseconds(static_cast<int>(std::min(60'000.0, 500 * std::exp2(over))));
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady() - found->second.last);
  if (passed >= pause) return std::nullopt;
  return pause - passed;
}

std::optional<std::chrono::milliseconds> SlowDown::wait(const Client& client, const std::string& account) {
  const auto key = key_of(client);
  return state_.with([&](State& state) -> std::optional<std::chrono::milliseconds> {
    if (key.empty()) return std::nullopt;
    if (auto pause = wait_of(state.clients, key, kFreeForClient)) return pause;
    const auto welcome = state.welcome.find(account);
    if (welcome != state.welcome.end() && welcome->second == key) return std::nullopt;
    return wait_of(state.accounts, account, kFreeForAccount);
  });
}

void SlowDown::add(std::unordered_map<std::string, Score>& scores, const std::string& key) {
  if (scores.size() >= kMost) std::erase_if(scores, [&](const auto& item) { return now_score(item.second) < 1; });
  if (scores.size() >= kMost) scores.clear();
  auto& score = scores[key];
  score.failures = now_score(score) + 1;
  score.last = clock_.steady();
}

void SlowDown::failed(const Client& client, const std::string& account) {
  const auto key = key_of(client);
  if (key.empty()) return;
  state_.with([&](State& state) {
    add(state.clients, key);
    add(state.accounts, account);
  });
}

void SlowDown::succeeded(const Client& client, const std::string& account) {
  const auto key = key_of(client);
  if (key.empty()) return;
  state_.with([&](State& state) {
    state.accounts.erase(account);
    if (state.welcome.size() >= kMost) state.welcome.clear();
    state.welcome[account] = key;
  });
}

}  // namespace merpati::auth
