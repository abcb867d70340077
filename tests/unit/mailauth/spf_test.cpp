#include "merpati/mailauth/spf.hpp"

#include <gtest/gtest.h>

#include "merpati/dns/static_resolver.hpp"
#include "merpati/mailauth/spf_record.hpp"
#include "support/loop.hpp"

namespace merpati::mailauth {
namespace {

dns::IpAddress ip(const char* text) { return boost::asio::ip::make_address(text); }

// The zone of RFC 7208 appendix A.
class SpfTest : public ::testing::Test {
 protected:
  SpfTest() {
    dns_.set_addresses("example.com", {"192.0.2.10", "192.0.2.11"});
    dns_.set_addresses("mail-a.example.com", {"192.0.2.129"});
    dns_.set_addresses("mail-b.example.com", {"192.0.2.130"});
    dns_.set_addresses("amy.example.com", {"192.0.2.65"});
    dns_.set_addresses("bob.example.com", {"192.0.2.66"});
    dns_.set_addresses("mail-c.example.org", {"192.0.2.140"});
    dns_.set_mx("example.com", {{10, "mail-a.example.com"}, {20, "mail-b.example.com"}});
    dns_.set_mx("example.org", {{10, "mail-c.example.org"}});
    dns_.set_names("192.0.2.10", {"example.com"});
    dns_.set_names("192.0.2.65", {"amy.example.com"});
    dns_.set_names("10.0.0.4", {"bob.example.com"});
  }
  SpfOutcome check(const std::string& record, const char* address, const std::string& from = "user@example.com") {
    dns_.set_txt("example.com", {"unrelated", record});
    SpfQuery query;
    query.client = ip(address);
    query.helo = "mx.example.org";
    query.mail_from = from;
    query.receiver = "here.test";
    return loop_.run(check_spf(dns_, query, Deadline::after(std::chrono::seconds(20)))).value();
  }
  SpfResult result(const std::string& record, const char* address) { return check(record, address).result; }

  dns::StaticResolver dns_;
  test::Loop loop_;
};

struct Case {
  const char* record;
  const char* address;
  SpfResult result;
};

TEST_F(SpfTest, AppendixA) {
  dns_.set_txt("example.org", {"v=spf1 mx -all"});
  const Case cases[] = {
      {"v=spf1 +all", "203.0.113.9", SpfResult::kPass},
      {"v=spf1 a -all", "192.0.2.10", SpfResult::kPass},
      {"v=spf1 a -all", "192.0.2.129", SpfResult::kFail},
      {"v=spf1 a:example.org -all", "192.0.2.10", SpfResult::kFail},
      {"v=spf1 mx -all", "192.0.2.129", SpfResult::kPass},
      {"v=spf1 mx -all", "192.0.2.10", SpfResult::kFail},
      {"v=spf1 mx:example.org -all", "192.0.2.140", SpfResult::kPass},
      {"v=spf1 mx mx:example.org -all", "192.0.2.130", SpfResult::kPass},
      {"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", SpfResult::kPass},
      {"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", SpfResult::kPass},
      {"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.144", SpfResult::kFail},
      {"v=spf1 ptr -all", "192.0.2.65", SpfResult::kPass},
      {"v=spf1 ptr -all", "10.0.0.4", SpfResult::kFail},  // its name does not have the address
      {"v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", SpfResult::kPass},
      {"v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", SpfResult::kFail},
      {"v=spf1 include:example.org -all", "192.0.2.140", SpfResult::kPass},
      {"v=spf1 include:example.org ?all", "192.0.2.1", SpfResult::kNeutral},
      {"v=spf1 redirect=example.org", "192.0.2.140", SpfResult::kPass},
  };
  for (const Case& c : cases) EXPECT_EQ(result(c.record, c.address), c.result) << c.record << " " << c.address;
}

TEST_F(SpfTest, EdgesOfTheText) {
  dns_.set_txt("none.test", {"no record"});
  dns_.set_addresses("six.test", {"2001:db8::1"});
  const Case cases[] = {
      {"v=spf10 -all", "192.0.2.1", SpfResult::kNone},          // 4.5
      {"v=spf1", "192.0.2.1", SpfResult::kNeutral},             // 4.7
      {"V=SPF1 MX ~ALL", "192.0.2.1", SpfResult::kSoftFail},    // 4.6.1: case does not matter
      {"v=spf1 -all moo", "192.0.2.1", SpfResult::kPermError},  // 4.6: syntax anywhere
      {"v=spf1 moo=%{x} -all", "192.0.2.1", SpfResult::kPermError},
      {"v=spf1 moo=cow -all", "192.0.2.1", SpfResult::kFail},  // 6: unknown modifier
      {"v=spf1 redirect=a.test redirect=b.test", "192.0.2.1", SpfResult::kPermError},
      {"v=spf1 redirect=none.test", "192.0.2.1", SpfResult::kPermError},        // 6.1
      {"v=spf1 redirect=none.test -all", "192.0.2.1", SpfResult::kFail},        // 6.1: all wins
      {"v=spf1 include:none.test -all", "192.0.2.1", SpfResult::kPermError},    // 5.2
      {"v=spf1 include:example.com -all", "192.0.2.1", SpfResult::kPermError},  // recursion meets the limit
      {"v=spf1 a: -all", "192.0.2.1", SpfResult::kPermError},
      {"v=spf1 a/33 -all", "192.0.2.1", SpfResult::kPermError},
      {"v=spf1 a/024 -all", "192.0.2.10", SpfResult::kPermError},
      {"v=spf1 a//129 -all", "192.0.2.1", SpfResult::kPermError},
      {"v=spf1 a:museum -all", "192.0.2.1", SpfResult::kPermError},
      {"v=spf1 a:a.123 -all", "192.0.2.1", SpfResult::kPermError},  // 7.1: top label
      {"v=spf1 all:x -all", "192.0.2.1", SpfResult::kPermError},
      {"v=spf1 ip4:1.2.3 -all", "192.0.2.1", SpfResult::kPermError},
      {"v=spf1 ip4:0.0.0.0/0 -all", "192.0.2.1", SpfResult::kPass},
      {"v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::1", SpfResult::kPass},
      {"v=spf1 ip6:2001:db8::/32 -all", "192.0.2.1", SpfResult::kFail},
      {"v=spf1 ip4:192.0.2.1 -all", "::ffff:192.0.2.1", SpfResult::kPass},  // 5: mapped is IPv4
      {"v=spf1 a:six.test/0//64 -all", "2001:db8::2", SpfResult::kPass},
      {"v=spf1 exists:six.test -all", "2001:db8::1", SpfResult::kFail},  // 5.7: A always
      {"v=spf1 exists:amy.example.com -all", "2001:db8::1", SpfResult::kPass},
      {"v=spf1 a:v1.test a:v2.test -all", "192.0.2.1", SpfResult::kFail},  // 4.6.4: two void lookups
      {"v=spf1 a:v1.test a:v2.test a:v3.test -all", "192.0.2.1", SpfResult::kPermError},
  };
  for (const Case& c : cases) EXPECT_EQ(result(c.record, c.address), c.result) << c.record << " " << c.address;
}

TEST_F(SpfTest, TenLookupsAndNotEleven) {
  std::string record = "v=spf1";
  for (int i = 0; i < 10; ++i) record += " a:amy.example.com";
  EXPECT_EQ(result(record + " -all", "192.0.2.1"), SpfResult::kFail);
  const auto outcome = check(record + " a:amy.example.com -all", "192.0.2.1");
  EXPECT_EQ(outcome.result, SpfResult::kPermError);
  EXPECT_NE(outcome.problem.find("10"), std::string::npos);
}

TEST_F(SpfTest, ARecordThatFansOutEndsSoon) {
  for (int i = 0; i < 10; ++i) {
    std::string record = "v=spf1";
    for (int j = 0; j < 10; ++j) record += " include:n" + std::to_string((i + 1) % 10) + ".test";
    dns_.set_txt("n" + std::to_string(i) + ".test", {record});
  }
  EXPECT_EQ(result("v=spf1 include:n0.test -all", "192.0.2.1"), SpfResult::kPermError);
  EXPECT_LE(dns_.questions(), 20);
  std::vector<dns::Mx> many;
  for (int i = 0; i < 11; ++i) many.push_back({10, "h" + std::to_string(i) + ".test"});
  dns_.set_mx("many.test", many);
  EXPECT_EQ(result("v=spf1 mx:many.test -all", "192.0.2.1"), SpfResult::kPermError);  // 4.6.4
}

TEST_F(SpfTest, FailuresOfDns) {
  dns_.set_addresses_status("down.test", dns::Status::kTemporary);
  EXPECT_EQ(result("v=spf1 a:down.test -all", "192.0.2.1"), SpfResult::kTempError);
  EXPECT_EQ(result("v=spf1 ip4:192.0.2.1 a:down.test -all", "192.0.2.1"), SpfResult::kPass);
  dns_.set_txt_status("bogus.test", dns::Status::kBogus);
  EXPECT_EQ(result("v=spf1 include:bogus.test -all", "192.0.2.1"), SpfResult::kTempError);
  dns_.set_names_status("192.0.2.77", dns::Status::kTemporary);
  EXPECT_EQ(result("v=spf1 ptr -all", "192.0.2.77"), SpfResult::kFail);  // 5.5: no match
  dns_.set_txt("two.test", {"v=spf1 -all", "v=spf1 +all"});
  EXPECT_EQ(check("v=spf1", "192.0.2.1", "a@two.test").result, SpfResult::kPermError);  // 4.5
}

TEST_F(SpfTest, IdentitiesAndNames) {
  EXPECT_EQ(check("v=spf1 -all", "192.0.2.1", "a@nodots").result, SpfResult::kNone);  // 4.3
  EXPECT_EQ(check("v=spf1 -all", "192.0.2.1", "a@no.such.test").result, SpfResult::kNone);
  dns_.set_txt("mx.example.org", {"v=spf1 exists:%{l}.%{o}.ok.test -all"});
  dns_.set_addresses("postmaster.mx.example.org.ok.test", {"127.0.0.2"});
  const auto null = check("v=spf1 -all", "192.0.2.1", "");
  EXPECT_EQ(null.result, SpfResult::kPass);
  EXPECT_EQ(null.identity, SpfIdentity::kHelo);
  EXPECT_EQ(null.domain, "mx.example.org");
  EXPECT_FALSE(null.steps.empty());
}

TEST_F(SpfTest, Explanations) {
  dns_.set_txt("why.test", {"See http://%{d}/why?s=%{S}&i=%{i}&r=%{r}"});
  EXPECT_EQ(check("v=spf1 exp=why.test -all", "192.0.2.1").explanation,
            "See http://example.com/why?s=user%40example.com&i=192.0.2.1&r=here.test");
  dns_.set_txt("bad.test", {"%{x}"});
  EXPECT_EQ(check("v=spf1 exp=bad.test -all", "192.0.2.1").explanation, "");
  dns_.set_txt("other.test", {"v=spf1 exp=why.test -all"});
  EXPECT_EQ(check("v=spf1 include:other.test -all", "192.0.2.1").explanation, "");  // 6.2: not the included one's
  EXPECT_NE(check("v=spf1 redirect=other.test", "192.0.2.1").explanation, "");      // 6.2: the redirected one's
}

// RFC 7208 7.4.
TEST(SpfMacro, ExamplesOf74) {
  SpfMacros m;
  m.sender_local = "strong-bad";
  m.sender_domain = m.domain = "email.example.com";
  m.client = ip("192.0.2.3");
  const std::pair<const char*, const char*> cases[] = {
      {"%{s}", "strong-bad@email.example.com"},
      {"%{o}", "email.example.com"},
      {"%{d4}", "email.example.com"},
      {"%{d2}", "example.com"},
      {"%{d1}", "com"},
      {"%{dr}", "com.example.email"},
      {"%{d2r}", "example.email"},
      {"%{l}", "strong-bad"},
      {"%{l-}", "strong.bad"},
      {"%{lr-}", "bad.strong"},
      {"%{l1r-}", "strong"},
      {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
      {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
      {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
      {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
  };
  for (const auto& [spec, expected] : cases) {
    EXPECT_TRUE(valid_macro_string(spec, MacroUse::kDomain)) << spec;
    EXPECT_EQ(expand_macros(spec, m), expected) << spec;
  }
  m.client = ip("2001:db8::cb01");
  EXPECT_EQ(expand_macros("%{ir}.%{v}._spf.%{d2}", m),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com");
  EXPECT_EQ(expand_macros("%%%_%-", m), "% %20");
  for (const char* bad : {"%", "%x", "%{", "%{d0}", "%{q}", "%{d.r}", "%{c}", "a b"}) {
    EXPECT_FALSE(valid_macro_string(bad, MacroUse::kDomain)) << bad;
  }
}

}  // namespace
}  // namespace merpati::mailauth
