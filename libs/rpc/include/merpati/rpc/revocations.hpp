// Which session tokens are refused before they end: a password was changed, or an account or its domain was disabled.
#pragma once

#include <cstdint>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "merpati/base/clock.hpp"

namespace merpati::rpc {

/// Thread safe.
class Revocations {
 public:
  explicit Revocations(const Clock& clock = Clock::system()) : clock_(clock) {}
  /// Tokens of the account whose credential_version is lower are refused from now on.
  void revoke(std::int64_t account_id, std::int64_t below_version);
  /// Tokens of every account of the domain (A-labels) are refused while it is disabled.
  void set_domain(std::string_view domain, bool disabled);
  /// `address` is the account's main address, as the token's claims have it.
  bool refuses(std::int64_t account_id, std::int64_t credential_version, std::string_view address) const;

 private:
  struct Entry {
    std::int64_t below_version;
    WallTime at;
  };
  const Clock& clock_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::int64_t, Entry> entries_;
  std::set<std::string, std::less<>> disabled_domains_;
};

}  // namespace merpati::rpc
