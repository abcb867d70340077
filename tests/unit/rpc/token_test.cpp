// Session tokens and grants: only what auth signed, for its purpose, in its time.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <map>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/rpc/revocations.hpp"
#include "merpati/rpc/token.hpp"

namespace merpati::rpc {
namespace {

using namespace std::chrono_literals;

struct SetClock final : Clock {
  SteadyTime steady() const override { return SteadyTime(now.time_since_epoch()); }
  WallTime wall() const override { return now; }
  WallTime now{std::chrono::seconds(1'000'000)};
};

struct Tokens : testing::Test {
  Tokens() { ring.add("k1", key.pub); }
  std::string session() const {
    auth::v1::SessionClaims claims;
    claims.set_account_id(7);
    claims.set_issued_at(1'000'000);
    claims.set_credential_version(3);
    claims.set_expires_at(1'000'900);
    return sign(key, TokenKind::kSession, claims.SerializeAsString());
  }
  SetClock clock;
  KeyRing ring{clock};
  SigningKey key = SigningKey::generate("k1");
};

TEST_F(Tokens, AGenuineTokenIsAcceptedUntilItEnds) {
  const auto token = session();
  ASSERT_TRUE(ring.verify(token));
  EXPECT_EQ(ring.verify(token).value()->account_id(), 7);
  clock.now += 900s;
  EXPECT_EQ(ring.verify(token).error().code(), ErrorCode::kUnauthenticated);
}

TEST_F(Tokens, EveryChangedBitIsNoticed) {
  const auto raw = *from_base64url(session());
  for (std::size_t at = 0; at < raw.size(); ++at) {
    auto changed = raw;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(ring.verify(to_base64url(changed))) << at;
  }
}

TEST_F(Tokens, AGrantIsNoSession) {
  auth::v1::RecipientGrant grant;
  grant.set_account_id(7);
  grant.set_expires_at(2'000'000);
  const auto token = sign(key, TokenKind::kRecipient, grant.SerializeAsString());
  EXPECT_TRUE(ring.verify_grant(token));
  EXPECT_TRUE(ring.verify_grant(token));  // remembered
  EXPECT_FALSE(ring.verify(token));
  EXPECT_FALSE(ring.verify_grant(session()));
  clock.now += 1'000'000s;
  EXPECT_FALSE(ring.verify_grant(token));
}

TEST_F(Tokens, AccountsOfAnotherCellAreRefusedWhereOneIsRequired) {
  auth::v1::RecipientGrant grant;
  grant.set_account_id(7);
  grant.set_expires_at(2'000'000);
  grant.set_cell("south");
  const auto south = sign(key, TokenKind::kRecipient, grant.SerializeAsString());
  EXPECT_TRUE(ring.verify_grant(south));
  ring.require_cell("");
  EXPECT_TRUE(ring.verify(session()));
  EXPECT_EQ(ring.verify_grant(south).error().code(), ErrorCode::kFailedPrecondition);
  ring.require_cell("south");
  EXPECT_TRUE(ring.verify_grant(south));
  EXPECT_EQ(ring.verify(session()).error().code(), ErrorCode::kFailedPrecondition);
}

TEST_F(Tokens, RevokedAndRemovedKeysEndRememberedTokensToo) {
  const auto token = session();
  ASSERT_TRUE(ring.verify(token));
  ring.revocations().revoke(8, 100);
  ring.revocations().revoke(7, 3);
  EXPECT_TRUE(ring.verify(token)) << "its version is 3";
  ring.revocations().revoke(7, 4);
  EXPECT_EQ(ring.verify(token).error().code(), ErrorCode::kUnauthenticated);
  KeyRing second(clock);
  second.add("k1", key.pub);
  ASSERT_TRUE(second.verify(token));
  second.remove("k1");
  EXPECT_EQ(second.verify(token).error().code(), ErrorCode::kUnavailable);
}

TEST_F(Tokens, ADisabledDomainEndsTheTokensOfItsAccounts) {
  auth::v1::SessionClaims claims;
  claims.set_account_id(7);
  claims.set_expires_at(2'000'000);
  claims.set_address("alice@example.test");
  const auto token = sign(key, TokenKind::kSession, claims.SerializeAsString());
  ASSERT_TRUE(ring.verify(token));
  ring.revocations().set_domain("test", true);
  ring.revocations().set_domain("sub.example.test", true);
  EXPECT_TRUE(ring.verify(token));
  ring.revocations().set_domain("example.test", true);
  EXPECT_EQ(ring.verify(token).error().code(), ErrorCode::kUnauthenticated);
  ring.revocations().set_domain("example.test", false);
  EXPECT_TRUE(ring.verify(token)) << "it is enabled again";
}

TEST_F(Tokens, RoomForNewKeysIsMadeByThoseThatHaveEnded) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count();
  for (int i = 0; i < 70; ++i) ring.add("old" + std::to_string(i), key.pub, now - 1);
  ring.add("newest", key.pub);
  EXPECT_TRUE(ring.knows("newest"));
  EXPECT_TRUE(ring.knows("k1"));
}

// auth, slow to answer.
class FakeAuth final : public auth::v1::AuthService {
 public:
  Task<auth::v1::ListPublicKeysResponse> list_public_keys(Context&, const auth::v1::ListPublicKeysRequest&) override {
    ++asked;
    auth::v1::ListPublicKeysResponse response;  // what was there when it was asked
    for (const auto& [id, pub] : keys) {
      auto& key = *response.add_keys();
      key.set_key_id(id);
      key.set_ed25519_public(pub);
    }
    MERPATI_CO_CHECK(co_await sleep_for(5ms));
    if (down) co_return Error(ErrorCode::kUnavailable, "down");
    co_return response;
  }
  std::map<std::string, std::string> keys;
  int asked = 0;
  bool down = false;
};

asio::awaitable<void> refresh_and_count(KeyRing& ring, std::string key, int& known, int& failed) {
  auto refreshed = co_await ring.refresh();
  if (refreshed.has_error()) ++failed;
  if (ring.knows(key)) ++known;
}

struct Remote : Tokens {
  Remote() { dispatcher.register_service(auth); }
  FakeAuth auth;
  Dispatcher dispatcher;
  std::shared_ptr<KeyRing> remote = remote_key_ring(in_process_channel(dispatcher, Role::kStore), clock);
  asio::io_context loop;
  int known = 0, failed = 0;
  void ask(const std::string& key) {
    asio::co_spawn(loop, refresh_and_count(*remote, key, known, failed), [](std::exception_ptr e) { ASSERT_FALSE(e); });
  }
};

TEST_F(Remote, ManyWhoNeedKeysAtOnceShareFewCallsAndAllGetThem) {
  auth.keys["k1"] = key.pub;
  for (int i = 0; i < 100; ++i) ask("k1");
  loop.run();
  EXPECT_EQ(known, 100);
  EXPECT_EQ(failed, 0);
  EXPECT_LE(auth.asked, 2);
}

TEST_F(Remote, AKeyMadeWhileACallIsUnderWayIsFoundByWhoAskedAfterwards) {
  ask("k1");
  loop.run_one_for(1ms);
  while (auth.asked == 0) loop.run_one_for(1ms);
  auth.keys["k1"] = key.pub;
  ask("k1");
  loop.run();
  EXPECT_EQ(known, 1);
  EXPECT_EQ(auth.asked, 2);
}

TEST_F(Remote, AuthDownIsUnavailableForAllAndAskedFewTimes) {
  auth.down = true;
  for (int i = 0; i < 100; ++i) ask("k1");
  loop.run();
  EXPECT_EQ(failed, 100);
  EXPECT_LE(auth.asked, 2);
}

TEST_F(Tokens, GarbageIsRefused) {
  for (const std::string text : {"", "x", "not base64 !", "AAAA"}) EXPECT_FALSE(ring.verify(text)) << text;
  EXPECT_FALSE(ring.verify(std::string(100'000, 'A')));
}

}  // namespace
}  // namespace merpati::rpc
