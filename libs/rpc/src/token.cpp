#include "merpati/rpc/token.hpp"

#include <sodium.h>

#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "merpati/auth/v1/token.pb.h"
#include "merpati/base/encoding.hpp"
#include "merpati/rpc/revocations.hpp"

namespace merpati::rpc {

namespace {

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string signed_text(int kind, std::string_view claims) {
  std::string text = "merpati-token-v1";
  text += '\0';
  text += static_cast<char>(kind);
  text += '\0';
  text += claims;
  return text;
}

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Error bad_token(const char* why) {
  return Error(ErrorCode::kUnauthenticated, std::string("token: ") + why).with_public("authentication expired");
}

constexpr std::size_t kMaxToken = 4096;
constexpr std::size_t kMaxKeys = 64;
constexpr std::size_t kMaxRemembered = 50'000;

}  // namespace

SigningKey SigningKey::generate(std::string id) {
  SigningKey key;
  key.id = std::move(id);
  key.secret.resize(crypto_sign_SECRETKEYBYTES);
  key.pub.resize(crypto_sign_PUBLICKEYBYTES);
  crypto_sign_keypair(bytes(key.pub), bytes(key.secret));
  return key;
}

std::string sign(const SigningKey& key, TokenKind kind, std::string_view claims) {
  const std::string text = signed_text(static_cast<int>(kind), claims);
  std::string signature(crypto_sign_BYTES, '\0');
  crypto_sign_detached(bytes(signature), nullptr, bytes(std::string_view(text)), text.size(),
                       bytes(std::string_view(key.secret)));
  auth::v1::SignedClaims token;
  token.set_kind(static_cast<auth::v1::SignedClaims::Kind>(kind));
  token.set_key_id(key.id);
  token.set_claims(claims.data(), claims.size());
  token.set_signature(std::move(signature));
  return to_base64url(token.SerializeAsString());
}

struct KeyRing::State {
  struct Key {
    std::string pub;
    std::int64_t not_after;
  };
  template <class Claims>
  struct Remembered {
    std::shared_ptr<const Claims> claims;
    std::string key_id;
  };
  template <class Claims>
  using Memory = std::unordered_map<std::string, Remembered<Claims>>;

  template <class Claims>
  std::shared_ptr<const Claims> recall(const Memory<Claims>& memory, std::string_view token) const {
    std::shared_lock lock(mutex);
    const auto found = memory.find(std::string(token));
    return found == memory.end() ? nullptr : found->second.claims;
  }
  // An Ed25519 verification costs some 50 us: each token is verified once; all are forgotten when too many came.
  template <class Claims>
  void remember(Memory<Claims>& memory, std::string_view token, std::shared_ptr<const Claims> claims,
                std::string key_id) {
    std::unique_lock lock(mutex);
    if (memory.size() >= kMaxRemembered) memory.clear();
    memory[std::string(token)] = {std::move(claims), std::move(key_id)};
  }
  explicit State(const Clock& c) : clock(c), revoked(c) {}

  std::int64_t now() const { return unix_seconds(clock.wall()); }

  // The claims of a genuine token.
  Result<auth::v1::SignedClaims> open(TokenKind kind, std::string_view text) const {
    if (text.size() > kMaxToken) return bad_token("too long");
    const auto raw = from_base64url(text);
    auth::v1::SignedClaims token;
    if (!raw || !token.ParseFromString(*raw) || token.signature().size() != crypto_sign_BYTES)
      return bad_token("malformed");
    if (static_cast<int>(token.kind()) != static_cast<int>(kind)) return bad_token("of another kind");
    std::string pub;
    {
      std::shared_lock lock(mutex);
      const auto found = keys.find(token.key_id());
      if (found == keys.end()) return Error(ErrorCode::kUnavailable, "token: unknown key");
      if (found->second.not_after != 0 && found->second.not_after < now()) return bad_token("its key has ended");
      pub = found->second.pub;
    }
    const std::string text_signed = signed_text(static_cast<int>(kind), token.claims());
    if (crypto_sign_verify_detached(bytes(std::string_view(token.signature())), bytes(std::string_view(text_signed)),
                                    text_signed.size(), bytes(std::string_view(pub))) != 0)
      return bad_token("forged");
    return token;
  }

  Result<void> check_cell(const std::string& of_account) const {
    if (!cell || *cell == of_account) return {};
    return Error(ErrorCode::kFailedPrecondition,
                 "the account lives in the cell \"" + of_account + "\", and this is \"" + *cell + "\"");
  }
  Result<void> check(const auth::v1::SessionClaims& claims) const {
    MERPATI_CHECK(check_cell(claims.cell()));
    if (claims.expires_at() <= now()) return bad_token("expired");
    if (revoked.refuses(claims.account_id(), claims.credential_version(), claims.address()))
      return bad_token("revoked");
    return {};
  }

  const Clock& clock;
  std::optional<std::string> cell;
  mutable std::shared_mutex mutex;
  std::unordered_map<std::string, Key> keys;
  Memory<auth::v1::SessionClaims> sessions;
  Memory<auth::v1::RecipientGrant> grants;
  Revocations revoked;
};

KeyRing::KeyRing(const Clock& clock) : state_(std::make_unique<State>(clock)) {
  static const int kReady = sodium_init();
  static_cast<void>(kReady);
}
KeyRing::~KeyRing() = default;

void KeyRing::add(std::string key_id, std::string public_key, std::int64_t not_after) {
  if (public_key.size() != crypto_sign_PUBLICKEYBYTES) return;
  std::unique_lock lock(state_->mutex);
  if (state_->keys.size() >= kMaxKeys)
    std::erase_if(state_->keys, [now = state_->now()](const auto& item) {
      return item.second.not_after != 0 && item.second.not_after < now;
    });
  if (state_->keys.size() >= kMaxKeys && state_->keys.count(key_id) == 0) return;
  state_->keys[std::move(key_id)] = {std::move(public_key), not_after};
}

void KeyRing::remove(std::string_view key_id) {
  std::unique_lock lock(state_->mutex);
  state_->keys.erase(std::string(key_id));
  std::erase_if(state_->sessions, [&](const auto& item) { return item.second.key_id == key_id; });
  std::erase_if(state_->grants, [&](const auto& item) { return item.second.key_id == key_id; });
}

bool KeyRing::knows(std::string_view key_id) const {
  std::shared_lock lock(state_->mutex);
  return state_->keys.count(std::string(key_id)) != 0;
}

void KeyRing::require_cell(std::string cell) { state_->cell = std::move(cell); }

Revocations& KeyRing::revocations() { return state_->revoked; }

Result<std::shared_ptr<const auth::v1::SessionClaims>> KeyRing::verify(std::string_view token) {
  if (auto known = state_->recall(state_->sessions, token)) {
    MERPATI_CHECK(state_->check(*known));
    return known;
  }
  MERPATI_TRY(auto opened, state_->open(TokenKind::kSession, token));
  auto parsed = std::make_shared<auth::v1::SessionClaims>();
  if (!parsed->ParseFromString(opened.claims())) return bad_token("malformed claims");
  MERPATI_CHECK(state_->check(*parsed));
  std::shared_ptr<const auth::v1::SessionClaims> claims = std::move(parsed);
  state_->remember(state_->sessions, token, claims, opened.key_id());
  return claims;
}

Result<std::shared_ptr<const auth::v1::RecipientGrant>> KeyRing::verify_grant(std::string_view token) {
  auto grant = state_->recall(state_->grants, token);
  if (!grant) {
    MERPATI_TRY(auto opened, state_->open(TokenKind::kRecipient, token));
    auto parsed = std::make_shared<auth::v1::RecipientGrant>();
    if (!parsed->ParseFromString(opened.claims())) return bad_token("malformed grant");
    grant = std::move(parsed);
    if (grant->expires_at() > state_->now()) state_->remember(state_->grants, token, grant, opened.key_id());
  }
  if (grant->expires_at() <= state_->now()) return bad_token("expired grant");
  MERPATI_CHECK(state_->check_cell(grant->cell()));
  return grant;
}

Task<void> KeyRing::refresh() { co_return Result<void>(); }

}  // namespace merpati::rpc
