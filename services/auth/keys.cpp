#include "auth/keys.hpp"

#include <sodium.h>

#include "merpati/base/encoding.hpp"

namespace merpati::auth {
namespace {

const unsigned char* bytes(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

Keys::Keys(Directory& directory, std::string master, std::chrono::seconds overlap)
    : directory_(directory), master_(std::move(master)), overlap_(overlap) {}

std::string Keys::derive(std::string_view purpose) const { return hmac_sha256(master_, purpose); }

StoredKey Keys::make() const {
  const auto key = rpc::SigningKey::generate(to_hex(random_bytes(8)));
  const auto nonce = random_bytes(crypto_secretbox_NONCEBYTES);
  const auto wrapping = derive("merpati signing keys v1");
  std::string box(key.secret.size() + crypto_secretbox_MACBYTES, '\0');
  crypto_secretbox_easy(bytes(box), bytes(key.secret), key.secret.size(), bytes(nonce), bytes(wrapping));
  return {key.id, nonce + box, key.pub, std::nullopt, {}};
}

Result<std::string> Keys::open(const StoredKey& key) const {
  const auto wrapping = derive("merpati signing keys v1");
  const auto wrong = Error(ErrorCode::kFailedPrecondition,
                           "auth.master_key is not the key that the signing keys in the "
                           "database are encrypted under");
  if (key.secret.size() < crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES) return wrong;
  const auto nonce = key.secret.substr(0, crypto_secretbox_NONCEBYTES),
             box = key.secret.substr(crypto_secretbox_NONCEBYTES);
  std::string secret(box.size() - crypto_secretbox_MACBYTES, '\0');
  if (crypto_secretbox_open_easy(bytes(secret), bytes(box), box.size(), bytes(nonce), bytes(wrapping)) != 0)
    return wrong;
  return secret;
}

Task<void> Keys::load(Deadline deadline) {
  MERPATI_CO_TRY(auto stored, co_await directory_.signing_keys(deadline));
  bool current = false;
  for (const auto& key : stored) current = current || !key.not_after;
  if (!current) {
    MERPATI_CO_CHECK(co_await directory_.add_signing_key(make(), false, overlap_, deadline));
    MERPATI_CO_TRY(stored, co_await directory_.signing_keys(deadline));
  }
  State state;
  for (const auto& key : stored) {
    MERPATI_CO_TRY(auto secret, open(key));
    const std::int64_t not_after = key.not_after ? unix_seconds(*key.not_after) : 0;
    v1::PublicKey known;
    known.set_key_id(key.id);
    known.set_ed25519_public(key.pub);
    known.set_not_after(not_after);
    state.known.push_back(std::move(known));
    ring_.add(key.id, key.pub, not_after);
    if (key.not_after) continue;
    state.current = {key.id, std::move(secret), key.pub};
    state.current_since = key.created_at;
  }
  state_.with([&](State& held) { held = std::move(state); });
  co_return Result<void>();
}

Task<std::string> Keys::rotate(Deadline deadline) {
  auto key = make();
  const auto id = key.id;
  MERPATI_CO_CHECK(co_await directory_.add_signing_key(std::move(key), true, overlap_, deadline));
  MERPATI_CO_CHECK(co_await load(deadline));
  co_return id;
}

Task<bool> Keys::rotate_aged(std::chrono::seconds life, Deadline deadline) {
  const auto since = state_.with([](const State& state) { return state.current_since; });
  if (Clock::system().wall() - since < life) co_return false;
  MERPATI_CO_TRY(const bool mine, co_await directory_.replace_aged_signing_key(make(), overlap_, life, deadline));
  if (mine) MERPATI_CO_CHECK(co_await load(deadline));  // another replica's is told by its event
  co_return mine;
}

std::string Keys::sign_session(const v1::SessionClaims& claims) const {
  const auto key = state_.with([](const State& state) { return state.current; });
  return rpc::sign(key, rpc::TokenKind::kSession, claims.SerializeAsString());
}

std::string Keys::sign_grant(const v1::RecipientGrant& claims) const {
  const auto key = state_.with([](const State& state) { return state.current; });
  return rpc::sign(key, rpc::TokenKind::kRecipient, claims.SerializeAsString());
}

std::vector<v1::PublicKey> Keys::public_keys() const {
  return state_.with([](const State& state) { return state.known; });
}

}  // namespace merpati::auth
