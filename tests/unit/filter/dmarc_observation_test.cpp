// What a judged message adds to reports: by authentication itself, with records from a resolver.
#include "filter/dmarc_observation.hpp"

#include <gtest/gtest.h>

#include "merpati/dns/static_resolver.hpp"
#include "support/loop.hpp"
#include "unit/mailauth/messages.hpp"

namespace merpati::filter {
namespace {
namespace keys = mailauth::test_messages;
using mailauth::DmarcPolicy;
using mailauth::DmarcResult;

TEST(DmarcDisposition, IsWhatWasDoneAndNeverMoreThanWasAskedFor) {
  constexpr auto kNone = DmarcPolicy::kNone, kQuarantine = DmarcPolicy::kQuarantine, kReject = DmarcPolicy::kReject;
  constexpr auto kPass = DmarcResult::kPass, kFail = DmarcResult::kFail, kTempError = DmarcResult::kTempError;
  struct Case {
    DmarcResult result;
    DmarcPolicy published, asked;
    Outcome outcome;
    const char* symbol;
    const char* expected;
  };
  const Case cases[] = {
      {kPass, kNone, kNone, Outcome::kAccept, "DMARC_PASS", "none"},
      {kPass, kReject, kReject, Outcome::kAccept, "DMARC_PASS", "pass"},
      {kPass, kReject, kReject, Outcome::kRefuse, "VIRUS", "pass"},
      {kFail, kNone, kNone, Outcome::kAccept, "DMARC_FAIL", "none"},
      {kFail, kNone, kNone, Outcome::kRefuse, "VIRUS", "none"},
      {kFail, kQuarantine, kQuarantine, Outcome::kJunk, "DMARC_QUARANTINE", "quarantine"},
      {kFail, kQuarantine, kQuarantine, Outcome::kRefuse, "VIRUS", "quarantine"},
      {kFail, kReject, kReject, Outcome::kRefuse, "DMARC_REJECT", "reject"},
      // Policies only count towards a score, or a weight makes points of them.
      {kFail, kQuarantine, kQuarantine, Outcome::kAccept, "DMARC_QUARANTINE", "none local_policy"},
      {kFail, kReject, kReject, Outcome::kJunk, "DMARC_REJECT", "quarantine local_policy"},
      {kFail, kReject, kReject, Outcome::kAccept, "DMARC_REJECT", "none local_policy"},
      // t=y: one step milder.
      {kFail, kReject, kQuarantine, Outcome::kJunk, "DMARC_QUARANTINE", "quarantine policy_test_mode"},
      {kFail, kQuarantine, kNone, Outcome::kAccept, "DMARC_FAIL", "none policy_test_mode"},
      {kFail, kReject, kQuarantine, Outcome::kAccept, "DMARC_QUARANTINE", "none policy_test_mode local_policy"},
      {kFail, kReject, kReject, Outcome::kAccept, "DMARC_ARC", "none trusted_forwarder"},
      {kFail, kNone, kNone, Outcome::kAccept, "DMARC_ARC", "none"},
      // Nothing is known for certain: filed into Junk.
      {kTempError, kReject, kReject, Outcome::kJunk, "DMARC_UNDECIDED", "quarantine local_policy"},
  };
  for (const Case& c : cases) {
    mailauth::DmarcEvaluation evaluation;
    evaluation.result = c.result;
    evaluation.published = c.published;
    evaluation.policy = c.asked;
    Verdict verdict;
    verdict.outcome = c.outcome;
    verdict.symbols.push_back({c.symbol});
    const auto out = disposition_of(evaluation, verdict);
    std::string text = out.disposition;
    for (const auto& reason : out.reasons) text += " " + reason.type;
    EXPECT_EQ(text, c.expected) << c.symbol << " " << static_cast<int>(c.outcome);
  }
}

class DmarcObservations : public ::testing::Test {
 protected:
  DmarcObservations() {
    dns_.set_txt("e._domainkey.mail.a.test", {keys::ed25519().key_record()});
    dns_.set_txt("e._domainkey.list.test", {keys::ed25519().key_record()});
    dns_.set_txt("bounce.a.test", {"v=spf1 ip4:192.0.2.1 -all"});
    dns_.set_txt("_dmarc.a.test", {"v=DMARC1; p=reject; sp=quarantine; adkim=r; fo=1; rua=mailto:d@a.test!10m"});
    view_.client = boost::asio::ip::make_address("::ffff:192.0.2.1");
    view_.reverse_path = "x@Bounce.a.test";
    view_.recipients = {"Alice@here.test"};
  }
  static std::string signed_by(const std::string& domain, const std::string& mail) {
    mailauth::DkimSignOptions how;
    how.domain = domain;
    how.selector = "e";
    return mailauth::sign_dkim(mail, keys::ed25519(), how).value() + mail;
  }
  std::vector<DmarcObservation> observe(const std::string& mail, Outcome outcome = Outcome::kAccept) {
    mailauth::AuthenticationQuery query;
    query.client = view_.client.to_v6().is_v4_mapped() ? boost::asio::ip::make_address("192.0.2.1") : view_.client;
    query.helo = "mail.a.test";
    query.reverse_path = view_.reverse_path;
    query.for_reports = true;
    const auto split = mail.find("\r\n\r\n") + 4;
    query.header_block = std::string_view(mail).substr(0, split);
    query.body = std::string_view(mail).substr(split);
    found_ = loop_.run(mailauth::authenticate(dns_, std::move(query), Deadline::never())).value();
    view_.authentication = &found_;
    Verdict verdict;
    verdict.outcome = outcome;
    return observations_of(view_, verdict, exclusions_);
  }

  dns::StaticResolver dns_;
  test::Loop loop_;
  MessageView view_;
  DmarcExclusions exclusions_;
  mailauth::Authentication found_;
};

const std::string kMail = "From: joe@news.a.test\r\nSubject: x\r\n\r\nbody\r\n";

TEST_F(DmarcObservations, AMessageInFull) {
  // The list's signature stands on top, but the author's is told first.
  const auto out = observe(signed_by("list.test", signed_by("mail.a.test", signed_by("mail.a.test", kMail))));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].domain, "a.test");
  EXPECT_EQ(to_text(out[0].request),
            R"({"adkim":"r","aspf":"r","domain":"a.test","fo":"1","np":"quarantine","p":"reject",)"
            R"("rua":["mailto:d@a.test"],"sp":"quarantine","testing":"n"})");
  EXPECT_EQ(
      to_text(out[0].record),
      R"({"disposition":"pass","dkim":"pass","dkim_results":[["mail.a.test","e","pass"],["list.test","e","pass"]],)"
      R"("envelope_from":"bounce.a.test","from":"news.a.test","ip":"192.0.2.1","spf":"pass",)"
      R"("spf_results":[["bounce.a.test","pass"]]})");
  const auto record = record_from(to_text(out[0].record));
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(to_text(*record), to_text(out[0].record));
  const auto request = request_from(to_text(out[0].request));
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(to_text(*request), to_text(out[0].request));
  EXPECT_FALSE(record_from("{}").has_value());
  EXPECT_FALSE(request_from("nonsense").has_value());
}

TEST_F(DmarcObservations, WhatFailsIsToldWithoutItsWords) {
  view_.client = boost::asio::ip::make_address("2001:db8::1");
  view_.reverse_path = "";
  const auto out = observe(signed_by("list.test", kMail), Outcome::kJunk);
  ASSERT_EQ(out.size(), 1u);
  const auto& record = out[0].record;
  EXPECT_EQ(record.source_ip, "2001:db8::1");
  EXPECT_EQ(record.disposition + record.dkim + record.spf, "quarantinefailfail") << "sp= of a.test";
  EXPECT_EQ(record.envelope_from, "") << "the null reverse-path";
  ASSERT_EQ(record.spf_results.size(), 1u);
  EXPECT_EQ(record.spf_results[0].domain, "mail.a.test") << "postmaster@HELO (RFC 7208 2.4)";
}

TEST_F(DmarcObservations, WhoseMailIsNotCounted) {
  EXPECT_EQ(observe(kMail, Outcome::kTemporary).size(), 0u) << "it comes again";
  EXPECT_EQ(observe("From: joe@silent.test\r\n\r\nx\r\n").size(), 0u) << "no record";
  dns_.set_txt("_dmarc.silent.test", {"v=DMARC1; p=reject"});
  EXPECT_EQ(observe("From: joe@silent.test\r\n\r\nx\r\n").size(), 0u) << "a record without rua";
  exclusions_.recipients = {"alice@here.test"};
  EXPECT_EQ(observe(kMail).size(), 0u);
  view_.recipients.push_back("bob@here.test");
  EXPECT_EQ(observe(kMail).size(), 1u);
  exclusions_.domains = {"test.a", "b.test"};
  EXPECT_EQ(observe(kMail).size(), 1u);
  exclusions_.domains = {"a.test"};
  EXPECT_EQ(observe(kMail).size(), 0u);
  view_.authentication = nullptr;
  EXPECT_TRUE(observations_of(view_, {}, {}).empty()) << "submitted, or from a host of ours";
}

TEST_F(DmarcObservations, EachAuthorsDomainIsTold) {
  dns_.set_txt("_dmarc.b.test", {"v=DMARC1; p=none; rua=mailto:d@b.test"});
  const auto out = observe("From: joe@a.test, ann@b.test\r\n\r\nx\r\n");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].domain + " " + out[0].record.disposition + " " + out[0].record.spf, "a.test pass pass");
  EXPECT_EQ(out[1].domain + " " + out[1].record.disposition + " " + out[1].record.spf, "b.test none fail");
}

}  // namespace
}  // namespace merpati::filter
