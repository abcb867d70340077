#include "auth/slow_down.hpp"

#include <gtest/gtest.h>

#include "auth/verified_cache.hpp"

namespace merpati::auth {
namespace {

using namespace std::chrono_literals;

class FakeClock : public Clock {
 public:
  SteadyTime steady() const override { return now; }
  WallTime wall() const override { return {}; }
  SteadyTime now = SteadyTime(1000h);
};

struct Slow : testing::Test {
  FakeClock clock;
  SlowDown slow{net::CidrSet::parse(std::vector<std::string>{"10.0.0.0/8"}).value(), clock};
  void fail(const SlowDown::Client& client, const std::string& account, int times) {
    for (int i = 0; i < times; ++i) slow.failed(client, account);
  }
};

TEST_F(Slow, ManyFailuresOfOneClientSlowItForEveryAccount) {
  const SlowDown::Client client{"192.0.2.1", false};
  for (int i = 0; i < 40; ++i) slow.failed(client, "account" + std::to_string(i));
  EXPECT_TRUE(slow.wait(client, "another"));
  EXPECT_FALSE(slow.wait({"192.0.2.2", false}, "another"));
  clock.now += 2min;
  EXPECT_FALSE(slow.wait(client, "another"));  // it may try again, but each failure costs more
  slow.failed(client, "another");
  EXPECT_TRUE(slow.wait(client, "another"));
  clock.now += 2h;
  EXPECT_FALSE(slow.wait(client, "another"));
}

TEST_F(Slow, AnAccountUnderAttackStaysOpenForWhomItKnows) {
  const SlowDown::Client owner{"198.51.100.7", false};
  slow.succeeded(owner, "a");
  for (int i = 0; i < 15; ++i) slow.failed({"192.0.2." + std::to_string(i), false}, "a");
  EXPECT_TRUE(slow.wait({"192.0.2.99", false}, "a"));
  EXPECT_FALSE(slow.wait(owner, "a"));
}

TEST_F(Slow, ProxiesAndTrustedAddressesNeverWait) {
  fail({"192.0.2.1", true}, "a", 100);
  fail({"10.1.2.3", false}, "b", 100);
  EXPECT_FALSE(slow.wait({"192.0.2.1", true}, "a"));
  EXPECT_FALSE(slow.wait({"10.1.2.3", false}, "b"));
  EXPECT_FALSE(slow.wait({"203.0.113.1", false}, "a"));
}

TEST_F(Slow, OneIpv6NetworkIsOneClient) {
  for (int i = 0; i < 30; ++i) slow.failed({"2001:db8::" + std::to_string(i), false}, "x" + std::to_string(i));
  EXPECT_TRUE(slow.wait({"2001:db8::ffff", false}, "y"));
  EXPECT_FALSE(slow.wait({"2001:db8:0:1::1", false}, "y"));
}

TEST(VerifiedCache, ForgetsByTimeAndByVersion) {
  FakeClock clock;
  VerifiedCache cache(10min, clock);
  cache.add(cache.key(1, 1, "secret"));
  EXPECT_TRUE(cache.contains(cache.key(1, 1, "secret")));
  EXPECT_FALSE(cache.contains(cache.key(1, 2, "secret")));
  EXPECT_FALSE(cache.contains(cache.key(2, 1, "secret")));
  EXPECT_FALSE(cache.contains(cache.key(1, 1, "secret2")));
  clock.now += 11min;
  EXPECT_FALSE(cache.contains(cache.key(1, 1, "secret")));
}

}  // namespace
}  // namespace merpati::auth
