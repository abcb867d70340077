#include "merpati/mailauth/authenticate.hpp"

#include <gtest/gtest.h>

#include <boost/asio/thread_pool.hpp>
#include <set>

#include "merpati/dns/static_resolver.hpp"
#include "support/loop.hpp"
#include "unit/mailauth/messages.hpp"

namespace merpati::mailauth {
namespace {
using namespace test_messages;

/// A server that never answers but for one name, and for how long it is waited for.
class SilentResolver : public dns::StaticResolver {
 public:
  Task<dns::Answer<dns::IpAddress>> addresses(std::string, Deadline deadline) override {
    co_return co_await silence<dns::IpAddress>(deadline);
  }
  Task<dns::Answer<dns::IpAddress>> addresses_of(dns::Family, std::string, Deadline deadline) override {
    co_return co_await silence<dns::IpAddress>(deadline);
  }
  Task<dns::Answer<std::string>> names(dns::IpAddress, Deadline deadline) override {
    co_return co_await silence<std::string>(deadline);
  }
  Task<dns::Answer<std::string>> txt(std::string name, Deadline deadline) override {
    if (name == answers) co_return co_await StaticResolver::txt(std::move(name), deadline);
    co_return co_await silence<std::string>(deadline);
  }

  std::string answers;
  std::set<SteadyTime> waits;  ///< moments that somebody waited until

 private:
  template <class T>
  Task<dns::Answer<T>> silence(Deadline deadline) {
    waits.insert(deadline.at());
    MERPATI_CO_CHECK(co_await sleep_for(deadline.left()));
    co_return dns::Answer<T>();
  }
};

class AuthenticateTest : public ::testing::Test {
 protected:
  AuthenticateTest() {
    dns_.set_txt("e._domainkey.football.example.com", {ed25519().key_record()});
    dns_.set_txt("_dmarc.football.example.com", {"v=DMARC1; p=reject"});
    dns_.set_txt("bounce.football.example.com", {"v=spf1 ip4:192.0.2.1 -all"});
  }
  static std::string signed_message() {
    DkimSignOptions how;
    how.domain = "football.example.com";
    how.selector = "e";
    return sign_dkim(kDinner, ed25519(), how).value() + kDinner;
  }
  Authentication check(const std::string& message, bool whole = true) { return check(dns_, message, whole); }
  Authentication check(dns::Resolver& dns, const std::string& message, bool whole = true) {
    const auto size = mime::header_block_size(message);
    AuthenticationQuery query;
    query.client = boost::asio::ip::make_address(client_);
    query.helo = "mail.football.example.com";
    query.reverse_path = "x@bounce.football.example.com";
    query.header_block = std::string_view(message).substr(0, size);
    if (whole) query.body = std::string_view(message).substr(size);
    query.blocking = &blocking_;
    query.lookup_time = lookup_time_;
    return loop_.run(authenticate(dns, std::move(query), Deadline::never())).value();
  }
  static std::string names(const Authentication& found) {
    std::string out;
    for (const auto& method : found.methods) out += method.method + "=" + method.result + " ";
    return out;
  }

  std::string client_ = "192.0.2.1";
  std::chrono::milliseconds lookup_time_{5000};
  dns::StaticResolver dns_;
  test::Loop loop_;  ///< outlives the pool, whose threads call back into it
  asio::thread_pool blocking_{1};
};

TEST_F(AuthenticateTest, EachMethodFeedsDmarc) {
  auto found = check(signed_message());
  EXPECT_EQ(names(found), "iprev=permerror spf=pass dkim=pass dmarc=pass arc=none ");
  client_ = "192.0.2.2";
  EXPECT_EQ(names(check(signed_message())), "iprev=permerror spf=fail dkim=pass dmarc=pass arc=none ");
  found = check(kDinner);
  EXPECT_EQ(names(found), "iprev=permerror spf=fail dkim=none dmarc=fail arc=none ");
  EXPECT_EQ(found.dmarc->policy, DmarcPolicy::kReject);
  dns_.set_txt("mail.football.example.com", {"v=spf1 -all"});
  EXPECT_EQ(names(check(kDinner)), "iprev=permerror spf=fail spf=fail dkim=none dmarc=fail arc=none ");
}

// RFC 7489 6.6.2: no policy where a failure of DNS may hide a pass.
TEST_F(AuthenticateTest, AFailureOfDnsIsNoFail) {
  client_ = "192.0.2.2";
  dns_.set_txt_status("e._domainkey.football.example.com", dns::Status::kTemporary);
  EXPECT_EQ(names(check(signed_message())), "iprev=permerror spf=fail dkim=temperror dmarc=temperror arc=none ");
  dns_.set_txt_status("bounce.football.example.com", dns::Status::kTemporary);
  EXPECT_EQ(check(kDinner).dmarc->result, DmarcResult::kTempError);
  // A domain that has nothing to do with the author's cannot hide anything.
  dns_.set_txt("_dmarc.football.example.com", {"v=DMARC1; p=reject; aspf=s"});
  dns_.set_txt_status("bounce.football.example.com", dns::Status::kTemporary);
  EXPECT_EQ(check(kDinner).dmarc->result, DmarcResult::kFail);
}

TEST_F(AuthenticateTest, DnsThatSaysNothingIsWaitedForOnce) {
  SilentResolver dns;
  lookup_time_ = std::chrono::milliseconds(20);
  const auto found = check(dns, signed_message());
  EXPECT_EQ(names(found), "iprev=temperror spf=temperror spf=temperror dkim=temperror dmarc=temperror arc=none ");
  EXPECT_EQ(dns.waits.size(), 1U) << "all waited until the same moment";
}

// What strangers' servers take is not taken from the author's.
TEST_F(AuthenticateTest, SlowServersOfOthersLeaveDmarcItsTime) {
  SilentResolver dns;
  lookup_time_ = std::chrono::milliseconds(20);
  dns.set_txt("_dmarc.football.example.com", {"v=DMARC1; p=reject; adkim=s; aspf=r"});
  dns.answers = "_dmarc.football.example.com";
  const auto found = check(dns, signed_message());
  EXPECT_EQ(found.dmarc->result, DmarcResult::kTempError);
  EXPECT_EQ(dns.waits.size(), 2U);
}

TEST_F(AuthenticateTest, WithoutTheBodyOnlyAPassCounts) {
  auto found = check(signed_message(), false);
  EXPECT_EQ(names(found), "iprev=permerror spf=pass dmarc=pass ");
  EXPECT_FALSE(found.dkim.has_value());
  client_ = "192.0.2.2";
  found = check(signed_message(), false);
  EXPECT_EQ(names(found), "iprev=permerror spf=fail ") << "DKIM might have passed";
}

TEST_F(AuthenticateTest, LargeBodiesAndManySignatures) {
  std::string message = kDinner;
  for (int i = 0; i < 20'000; ++i) message += "0123456789\r\n";
  DkimSignOptions how;
  how.domain = "football.example.com";
  how.selector = "e";
  const auto field = sign_dkim(message, ed25519(), how).value();
  for (int i = 0; i < 5; ++i) message.insert(0, field);
  const auto found = check(message);
  ASSERT_EQ(found.dkim->signatures.size(), 5U);
  for (const auto& signature : found.dkim->signatures) EXPECT_EQ(signature.result, DkimResult::kPass);
}

TEST(TrustedSealers, OnlyAChainOfThemVouches) {
  ArcOutcome arc;
  arc.result = ArcResult::kPass;
  const auto add = [&](const char* domain, const char* results) {
    ArcSet set;
    set.domain = domain;
    set.results = results;
    arc.sets.push_back(std::move(set));
  };
  add("list.test", "mx.list.test; spf=pass smtp.mailfrom=a@b; DMARC = pass (p=reject) header.from=b");
  const std::vector<std::string> list{"list.test"}, both{"list.test", "relay.test"};
  EXPECT_TRUE(vouched_for(arc, list));
  EXPECT_FALSE(vouched_for(arc, {}));
  add("relay.test", "mx.relay.test; dmarc=fail header.from=b; arc=pass");
  EXPECT_FALSE(vouched_for(arc, list)) << "the relay may have changed anything";
  EXPECT_TRUE(vouched_for(arc, both));
  arc.result = ArcResult::kFail;
  EXPECT_FALSE(vouched_for(arc, both));
  arc.result = ArcResult::kPass;
  arc.sets[0].results = "mx; spf=pass reason=\"; dmarc=pass\"; x=y (; dmarc=pass)";
  EXPECT_FALSE(vouched_for(arc, both)) << "what stands in quotes or comments is no result";
}

TEST(AuthenticationResultsReader, MethodsAndResults) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(read_methods("mx.test 1; none"), Pairs());
  EXPECT_EQ(read_methods("mx.test; SPF/1=Pass smtp.mailfrom=a@b; dkim=fail reason=\"\\\"; x=y\"; ;=; d"),
            (Pairs{{"spf", "pass"}, {"dkim", "fail"}}));
  EXPECT_EQ(read_methods(""), Pairs());
  EXPECT_EQ(read_methods("\"mx; dkim=pass"), Pairs());
}

}  // namespace
}  // namespace merpati::mailauth
