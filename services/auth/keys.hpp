// Keys: what tokens and grants are signed with. In PostgreSQL they lie encrypted under the master key.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auth/directory.hpp"
#include "merpati/auth/v1/token.pb.h"
#include "merpati/base/guarded.hpp"
#include "merpati/rpc/token.hpp"

namespace merpati::auth {

/// Thread safe.
class Keys {
 public:
  /// `master` is 32 octets. `overlap`: how long a retired key still verifies.
  Keys(Directory& directory, std::string master, std::chrono::seconds overlap);

  /// Reads the keys, and makes the first one. kFailedPrecondition when the master key is not the one they are encrypted
  /// under.
  Task<void> load(Deadline deadline);
  /// The new key's id.
  Task<std::string> rotate(Deadline deadline);
  /// Rotates when the key in use is older than `life`; of several replicas one does it. True when it was this one.
  Task<bool> rotate_aged(std::chrono::seconds life, Deadline deadline);

  std::string sign_session(const v1::SessionClaims& claims) const;
  std::string sign_grant(const v1::RecipientGrant& claims) const;
  std::vector<v1::PublicKey> public_keys() const;
  rpc::KeyRing& ring() { return ring_; }
  /// 32 octets for `purpose` that are the same on every replica.
  std::string derive(std::string_view purpose) const;

 private:
  StoredKey make() const;
  Result<std::string> open(const StoredKey& key) const;

  Directory& directory_;
  const std::string master_;
  const std::chrono::seconds overlap_;
  struct State {
    rpc::SigningKey current;
    WallTime current_since{};
    std::vector<v1::PublicKey> known;
  };
  Guarded<State> state_;
  rpc::KeyRing ring_;
};

}  // namespace merpati::auth
