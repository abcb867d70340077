// Which session tokens are refused before they end, because a password was changed or an account was disabled.
#pragma once

#include <cstdint>
#include <shared_mutex>
#include <unordered_map>

#include "merpati/base/clock.hpp"

namespace merpati::rpc {

/// Thread safe.
class Revocations {
 public:
  explicit Revocations(const Clock& clock = Clock::system()) : clock_(clock) {}
  /// Tokens of the account whose credential_version is lower are refused from now on.
  void revoke(std::int64_t account_id, std::int64_t below_version);
  bool refuses(std::int64_t account_id, std::int64_t credential_version) const;

 private:
  struct Entry {
    std::int64_t below_version;
    WallTime at;
  };
  const Clock& clock_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::int64_t, Entry> entries_;
};

}  // namespace merpati::rpc
