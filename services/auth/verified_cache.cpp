#include "auth/verified_cache.hpp"

#include "merpati/base/encoding.hpp"

namespace merpati::auth {
namespace {
constexpr std::size_t kMost = 200'000;
}

VerifiedCache::VerifiedCache(std::chrono::nanoseconds life, const Clock& clock)
    : life_(life), clock_(clock), secret_(random_bytes(32)) {}

std::string VerifiedCache::key(std::int64_t account_id, std::int64_t version, std::string_view password) const {
  std::string text = std::to_string(account_id) + " " + std::to_string(version) + " ";
  text += password;
  return hmac_sha256(secret_, text);
}

bool VerifiedCache::contains(const std::string& key) {
  return until_.with([&](auto& map) {
    const auto found = map.find(key);
    if (found == map.end()) return false;
    if (found->second > clock_.steady()) return true;
    map.erase(found);
    return false;
  });
}

void VerifiedCache::add(const std::string& key) {
  until_.with([&](auto& map) {
    if (map.size() >= kMost)
      std::erase_if(map, [now = clock_.steady()](const auto& item) { return item.second <= now; });
    if (map.size() >= kMost) map.clear();
    map[key] = clock_.steady() + std::chrono::duration_cast<SteadyTime::duration>(life_);
  });
}

}  // namespace merpati::auth
