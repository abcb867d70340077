#include "merpati/rpc/revocations.hpp"

#include <mutex>

namespace merpati::rpc {
namespace {
constexpr std::size_t kMany = 10'000;
constexpr auto kLongest = std::chrono::hours(24);  // tokens live for minutes: what is older concerns none
}  // namespace

void Revocations::revoke(std::int64_t account_id, std::int64_t below_version) {
  const auto now = clock_.wall();
  std::unique_lock lock(mutex_);
  if (entries_.size() >= kMany)
    std::erase_if(entries_, [&](const auto& item) { return item.second.at + kLongest < now; });
  entries_[account_id] = {below_version, now};
}

void Revocations::set_domain(std::string_view domain, bool disabled) {
  std::unique_lock lock(mutex_);
  if (disabled)
    disabled_domains_.emplace(domain);
  else
    disabled_domains_.erase(std::string(domain));
}

bool Revocations::refuses(std::int64_t account_id, std::int64_t credential_version, std::string_view address) const {
  std::shared_lock lock(mutex_);
  if (!disabled_domains_.empty() && disabled_domains_.contains(address.substr(address.rfind('@') + 1))) return true;
  const auto found = entries_.find(account_id);
  return found != entries_.end() && credential_version < found->second.below_version;
}

}  // namespace merpati::rpc
