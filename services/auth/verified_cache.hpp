// VerifiedCache: passwords that Argon2id found right a short while ago, as keyed hashes that die with the process.
#pragma once

#include <string>
#include <unordered_map>

#include "merpati/base/clock.hpp"
#include "merpati/base/guarded.hpp"

namespace merpati::auth {

/// Thread safe. The credential's version is part of the key, so that a changed password is never found.
class VerifiedCache {
 public:
  explicit VerifiedCache(std::chrono::nanoseconds life, const Clock& clock = Clock::system());

  std::string key(std::int64_t account_id, std::int64_t version, std::string_view password) const;
  bool contains(const std::string& key);
  void add(const std::string& key);

 private:
  const std::chrono::nanoseconds life_;
  const Clock& clock_;
  const std::string secret_;
  Guarded<std::unordered_map<std::string, SteadyTime>> until_;
};

}  // namespace merpati::auth
