#include "merpati/mailauth/dmarc.hpp"

#include <gtest/gtest.h>

#include "merpati/dns/static_resolver.hpp"
#include "support/loop.hpp"

namespace merpati::mailauth {
namespace {
using Names = std::vector<std::string>;

class DmarcTest : public ::testing::Test {
 protected:
  DmarcOutcome check(Names authors, Names dkim, const std::string& spf = "") {
    return loop_
        .run(check_dmarc(dns_, {std::move(authors), spf, std::move(dkim)}, Deadline::after(std::chrono::seconds(20))))
        .value();
  }
  void record(const std::string& domain, const std::string& text) { dns_.set_txt("_dmarc." + domain, {text}); }

  dns::StaticResolver dns_;
  test::Loop loop_;
};

// RFC 9989 4.10: the example.
TEST(DmarcTreeWalk, AtMostEightNames) {
  EXPECT_EQ(tree_walk("a.b.c.d.e.f.g.h.i.j.mail.example.com"),
            (Names{"a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
                   "i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com"}));
  EXPECT_EQ(tree_walk("a.mail.example.com"), (Names{"a.mail.example.com", "mail.example.com", "example.com", "com"}));
  EXPECT_EQ(tree_walk("1.2.3.4.5.6.7.8").size(), 8u);
  EXPECT_EQ(tree_walk("1.2.3.4.5.6.7.8.9").size(), 8u);
  EXPECT_EQ(tree_walk("com"), Names{"com"});
}

// RFC 9989 4.10.2: the three examples of organizational domains.
TEST_F(DmarcTest, OrganizationalDomains) {
  record("mail.example.com", "v=DMARC1; p=none");
  record("example.com", "v=DMARC1; p=reject");
  EXPECT_EQ(check({"a.mail.example.com"}, {}).evaluations[0].organizational_domain, "example.com");
  record("mail.example.com", "v=DMARC1; p=none; psd=n");
  EXPECT_EQ(check({"a.mail.example.com"}, {}).evaluations[0].organizational_domain, "mail.example.com");
  record("net", "v=DMARC1; p=reject; psd=y");
  const auto psd = check({"a.mail.example.net"}, {});
  EXPECT_EQ(psd.evaluations[0].organizational_domain, "example.net");
  EXPECT_EQ(psd.evaluations[0].record_domain, "net");
  EXPECT_EQ(psd.policy, DmarcPolicy::kReject);
}

TEST_F(DmarcTest, Alignment) {
  record("example.com", "v=DMARC1; p=reject");
  EXPECT_EQ(check({"example.com"}, {"example.com"}).result, DmarcResult::kPass);
  EXPECT_EQ(check({"example.com"}, {"mail.example.com"}).result, DmarcResult::kPass);  // relaxed
  EXPECT_EQ(check({"news.example.com"}, {}, "bounce.example.com").evaluations[0].aligned_by, "spf=bounce.example.com");
  EXPECT_EQ(check({"example.com"}, {"example.org"}, "notexample.com").result, DmarcResult::kFail);
  record("example.com", "v=DMARC1; p=reject; adkim=s; aspf=s");
  EXPECT_EQ(check({"example.com"}, {"mail.example.com"}, "mail.example.com").result, DmarcResult::kFail);
  EXPECT_EQ(check({"example.com"}, {"example.com"}).result, DmarcResult::kPass);
  // A boundary below: not the same organization.
  record("example.com", "v=DMARC1; p=reject");
  record("customer.example.com", "v=DMARC1; p=reject; psd=n");
  EXPECT_EQ(check({"example.com"}, {"customer.example.com"}).result, DmarcResult::kFail);
  EXPECT_EQ(check({"customer.example.com"}, {"example.com"}).result, DmarcResult::kFail);
}

TEST_F(DmarcTest, BothAlignmentsAreKnownForReports) {
  record("example.com", "v=DMARC1; p=reject; rua=mailto:d@example.com");
  record("quiet.test", "v=DMARC1; p=reject");
  const auto look = [&](const std::string& author, Names dkim, const std::string& spf) {
    DmarcQuery query{{author}, spf, std::move(dkim)};
    query.for_reports = true;
    const auto all = loop_.run(check_dmarc(dns_, query, Deadline::after(std::chrono::seconds(20)))).value();
    const auto& e = all.evaluations.at(0);
    return std::string(to_string(e.result)) + " " + e.aligned_by + (e.dkim_aligned ? " dkim" : "") +
           (e.spf_aligned ? " spf" : "");
  };
  EXPECT_EQ(look("example.com", {"mail.example.com"}, "bounce.example.com"), "pass dkim=mail.example.com dkim spf");
  EXPECT_EQ(look("example.com", {"example.com"}, "list.test"), "pass dkim=example.com dkim");
  EXPECT_EQ(look("example.com", {"list.test"}, "example.com"), "pass spf=example.com spf");
  EXPECT_EQ(look("example.com", {}, ""), "fail ");
  EXPECT_EQ(look("quiet.test", {"quiet.test"}, "quiet.test"), "pass dkim=quiet.test dkim") << "nobody asks";
}

TEST_F(DmarcTest, WhereReportsGoAndAboutWhat) {
  EXPECT_EQ(report_uris("v=DMARC1"), Names());
  EXPECT_EQ(report_uris("v=DMARC1; RUA = mailto:a@b.test!10m , bad, mailto:c@d.test; p=x"),
            (Names{"mailto:a@b.test", "mailto:c@d.test"}));
  EXPECT_EQ(parse_dmarc_record("v=DMARC1; p=none")->failure_options, "0");
  EXPECT_EQ(parse_dmarc_record("v=DMARC1; p=none; fo=1:D:s")->failure_options, "1:d:s");
  EXPECT_EQ(parse_dmarc_record("v=DMARC1; p=none; fo=<x>")->failure_options, "0");
}

TEST_F(DmarcTest, PoliciesOfSubdomains) {
  record("example.com", "v=DMARC1; p=reject; sp=quarantine; np=none");
  dns_.set_addresses("a.example.com", {"192.0.2.1"});
  EXPECT_EQ(check({"example.com"}, {}).policy, DmarcPolicy::kReject);
  EXPECT_EQ(check({"a.example.com"}, {}).policy, DmarcPolicy::kQuarantine);
  EXPECT_EQ(check({"b.example.com"}, {}).policy, DmarcPolicy::kNone);  // does not exist
  record("example.com", "v=DMARC1; p=reject; t=y");
  EXPECT_EQ(check({"a.example.com"}, {}).policy, DmarcPolicy::kQuarantine);
  EXPECT_EQ(check({"a.example.com"}, {}).evaluations[0].published, DmarcPolicy::kReject);
}

TEST_F(DmarcTest, RecordsThatCount) {
  EXPECT_EQ(check({"none.example"}, {}).result, DmarcResult::kNone);
  dns_.set_txt("_dmarc.two.example", {"v=DMARC1; p=reject", "v=DMARC1; p=none"});
  EXPECT_EQ(check({"two.example"}, {}).result, DmarcResult::kNone);
  dns_.set_txt("_dmarc.mixed.example", {"v=spf1 -all", "v=DMARC1; p=reject"});
  EXPECT_EQ(check({"mixed.example"}, {}).policy, DmarcPolicy::kReject);
  EXPECT_FALSE(parse_dmarc_record("v=DMARC2; p=none").has_value());
  EXPECT_FALSE(parse_dmarc_record("p=none; v=DMARC1").has_value());
  EXPECT_FALSE(parse_dmarc_record("v=DMARC1; p=bad").has_value());
  EXPECT_EQ(parse_dmarc_record("v=DMARC1; p=bad; rua=mailto:a@b.test!10m")->aggregate_reports,
            Names{"mailto:a@b.test"});
  EXPECT_EQ(parse_dmarc_record("v=DMARC1; p=reject; sp=bad; rua=mailto:a@b.test")->policy, DmarcPolicy::kNone);
  EXPECT_EQ(parse_dmarc_record("v = DMARC1 ;p = REJECT; unknown=x; adkim=zz;")->policy, DmarcPolicy::kReject);
  EXPECT_TRUE(parse_dmarc_record("v=DMARC1; p=reject; pct=0")->testing);  // RFC 7489
  EXPECT_FALSE(parse_dmarc_record("v=DMARC1; p=reject; pct=50; rf=afrf; ri=86400")->testing);
}

TEST_F(DmarcTest, FailuresOfDns) {
  dns_.set_txt_status("_dmarc.down.example", dns::Status::kTemporary);
  EXPECT_EQ(check({"down.example"}, {}).result, DmarcResult::kTempError);
  record("own.example", "v=DMARC1; p=reject");
  dns_.set_txt_status("_dmarc.example", dns::Status::kTemporary);
  EXPECT_EQ(check({"own.example"}, {"own.example"}).result, DmarcResult::kPass);
  EXPECT_EQ(check({"own.example"}, {"a.own.example"}).result, DmarcResult::kTempError);
}

TEST_F(DmarcTest, SeveralAuthors) {
  record("a.example", "v=DMARC1; p=quarantine");
  record("b.example", "v=DMARC1; p=reject");
  EXPECT_EQ(check({"a.example", "b.example"}, {"a.example", "b.example"}).result, DmarcResult::kPass);
  const auto one = check({"a.example", "b.example"}, {"a.example"});
  EXPECT_EQ(one.result, DmarcResult::kFail);
  EXPECT_EQ(one.policy, DmarcPolicy::kReject);
  EXPECT_EQ(check(Names(11, "a.example"), {}).result, DmarcResult::kPermError);
  EXPECT_EQ(author_domains("From: \"x@evil.test\" <a@A.example>, b@b.example,\r\n c@a.example\r\nTo: d@d.test\r\n\r\n"),
            (Names{"a.example", "b.example"}));
}

TEST_F(DmarcTest, QuestionsAreBounded) {
  record("example.com", "v=DMARC1; p=reject");
  Names dkim;
  for (int i = 0; i < 10; ++i) dkim.push_back("x" + std::to_string(i) + ".1.2.3.4.5.6.7.8.example.org");
  EXPECT_EQ(check({"example.com"}, dkim).result, DmarcResult::kFail);
  EXPECT_LE(dns_.questions(), 3);  // identifiers outside of the author's organization need no walk
}

}  // namespace
}  // namespace merpati::mailauth
