// Session tokens: serialized merpati.auth.v1.SessionClaims with an Ed25519 signature. auth signs, every backend
// verifies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "merpati/base/clock.hpp"
#include "merpati/base/task.hpp"

namespace merpati::auth::v1 {
class SessionClaims;
class RecipientGrant;
}  // namespace merpati::auth::v1

namespace merpati::rpc {

class Channel;
class Revocations;

/// An Ed25519 key pair; `secret` is libsodium's 64 bytes, `pub` 32.
struct SigningKey {
  std::string id;
  std::string secret;
  std::string pub;
  static SigningKey generate(std::string id);
};

/// What a signature is for (merpati.auth.v1.SignedClaims.Kind); one kind's signature is worthless for another.
enum class TokenKind : std::uint8_t { kSession = 1, kRecipient = 2 };

/// Serialized claims as a token: base64url of a SignedClaims, so that it fits string fields and metadata.
std::string sign(const SigningKey& key, TokenKind kind, std::string_view claims);

/// Verifies tokens. Thread safe.
class TokenVerifier {
 public:
  virtual ~TokenVerifier() = default;
  /// kUnauthenticated when the token is malformed, forged, expired or revoked; kUnavailable when its key is not known
  /// (yet).
  virtual Result<std::shared_ptr<const auth::v1::SessionClaims>> verify(std::string_view token) = 0;
  virtual Result<std::shared_ptr<const auth::v1::RecipientGrant>> verify_grant(std::string_view token) = 0;
  /// Asks for newer keys; called once when verify() answered kUnavailable.
  virtual Task<void> refresh() = 0;
};

/// A set of public keys by id that verifies session tokens and remembers those it has verified. Thread safe.
class KeyRing : public TokenVerifier {
 public:
  explicit KeyRing(const Clock& clock = Clock::system());
  ~KeyRing() override;
  /// Adds or replaces; `not_after` in Unix seconds, 0 for no end. At most 64 keys are kept.
  void add(std::string key_id, std::string public_key, std::int64_t not_after = 0);
  void remove(std::string_view key_id);
  bool knows(std::string_view key_id) const;
  /// Tokens and grants of accounts of other cells are kFailedPrecondition from now on. Before the first call.
  void require_cell(std::string cell);
  /// Session tokens that are refused although they are genuine. Lives as long as the ring.
  Revocations& revocations();

  /// A recipient's grant (ResolveRecipient). Same errors as verify().
  Result<std::shared_ptr<const auth::v1::RecipientGrant>> verify_grant(std::string_view token) override;

  Result<std::shared_ptr<const auth::v1::SessionClaims>> verify(std::string_view token) override;
  Task<void> refresh() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A key ring that fetches auth's public keys (ListPublicKeys) on demand, at most once a second.
std::shared_ptr<KeyRing> remote_key_ring(std::shared_ptr<Channel> auth, const Clock& clock = Clock::system());

}  // namespace merpati::rpc
