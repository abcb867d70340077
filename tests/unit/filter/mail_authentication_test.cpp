// Who sent it, as the filter says it: results, symbols, what DMARC asks for, and DNS that is down.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include "filter/mail_authentication_engine.hpp"
#include "filter/rpc/filter_service.hpp"
#include "merpati/dns/static_resolver.hpp"
#include "unit/mailauth/messages.hpp"

namespace merpati::filter {
namespace {
namespace keys = mailauth::test_messages;

const std::string kMail = "From: joe@a.test\r\nSubject: x\r\n\r\nbody\r\n";

std::string signed_by(const std::string& domain, const std::string& mail) {
  mailauth::DkimSignOptions how;
  how.domain = domain;
  how.selector = "e";
  return mailauth::sign_dkim(mail, keys::ed25519(), how).value() + mail;
}

// What engines of the second stage are shown.
class Observer : public Engine {
 public:
  std::string_view name() const override { return "observer"; }
  Task<Findings> wait_for(const MessageView& view) override {
    dmarc = view.authentication == nullptr ? "unknown" : mailauth::to_string(view.authentication->dmarc->result);
    client = view.client.to_string();
    co_return Findings();
  }
  std::string dmarc, client;
};

class MailAuthenticationTest : public ::testing::Test {
 protected:
  MailAuthenticationTest() {
    dns_->set_txt("e._domainkey.a.test", {keys::ed25519().key_record()});
    dns_->set_txt("a.test", {"v=spf1 ip4:192.0.2.1 -all"});
    dns_->set_txt("_dmarc.a.test", {"v=DMARC1; p=reject"});
    settings_.own_networks = net::CidrSet::parse(std::vector<std::string>{"127.0.0.0/8"}).value();
  }
  v1::CheckMessageResponse judge(const std::string& message, Scoring scoring = {}) {
    runtime::Metrics metrics;
    FilterService service("mx.test", {}, std::move(scoring), metrics, nullptr, blocking_);
    service.add_engine(std::make_shared<MailAuthenticationEngine>(settings_, dns_, blocking_));
    service.add_engine(observer_);
    v1::CheckMessageRequest in;
    v1::Transaction& transaction = *in.mutable_transaction();
    transaction.set_client_address(client_);
    transaction.set_helo("mail.a.test");
    transaction.set_reverse_path(reverse_path_);
    transaction.set_authenticated_account_id(account_);
    in.set_size(message.size());
    in.set_message(message);
    in.add_recipients()->set_recipient("alice@example.test");
    rpc::Context context;
    asio::io_context loop;
    auto answer = asio::co_spawn(loop, service.check_message(context, in), asio::use_future);
    loop.run();
    return answer.get().value();
  }
  static std::string symbols(const v1::CheckMessageResponse& response) {
    std::string out;
    for (const auto& symbol : response.symbols()) out += symbol.name() + " ";
    return out;
  }

  std::string client_ = "192.0.2.1", reverse_path_ = "joe@a.test";
  std::int64_t account_ = 0;
  MailAuthenticationSettings settings_;
  std::shared_ptr<dns::StaticResolver> dns_ = std::make_shared<dns::StaticResolver>();
  std::shared_ptr<Observer> observer_ = std::make_shared<Observer>();
  asio::thread_pool blocking_{1};
};

TEST_F(MailAuthenticationTest, EveryMethodIsWrittenAndNamed) {
  const auto out = judge(signed_by("a.test", kMail));
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  const std::string& results = out.edits(0).value();
  for (const char* part :
       {"mx.test;\r\n iprev=permerror policy.iprev=192.0.2.1;\r\n spf=pass smtp.mailfrom=joe@a.test;",
        " dkim=pass header.d=a.test header.s=e header.a=ed25519-sha256 header.b=",
        " dmarc=pass header.from=a.test policy.dmarc=reject;\r\n arc=none"})
    EXPECT_NE(results.find(part), std::string::npos) << results;
  EXPECT_EQ(symbols(out), "SPF_PASS DKIM_PASS DMARC_PASS IPREV_NONE ");
  for (const auto& symbol : out.symbols()) EXPECT_EQ(symbol.engine(), "mail_authentication");
  ASSERT_EQ(out.engines_size(), 3);
  EXPECT_TRUE(out.engines(1).checked());
  EXPECT_EQ(observer_->dmarc, "pass");
  EXPECT_EQ(observer_->client, "192.0.2.1");
}

TEST_F(MailAuthenticationTest, WhatTheAuthorsDomainAsksFor) {
  client_ = "192.0.2.9";
  auto out = judge(kMail);
  EXPECT_EQ(out.decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(out.reply().code(), 550);
  EXPECT_EQ(out.reply().enhanced(), "5.7.1");
  EXPECT_NE(out.reply().text().find("a.test"), std::string::npos);
  EXPECT_EQ(symbols(out), "DMARC_REJECT SPF_FAIL DKIM_NONE IPREV_NONE ");
  EXPECT_EQ(judge(kMail, {{}, {{"DMARC_REJECT", 6}}}).decision(), v1::DECISION_JUNK) << "a weight makes it a score";
  dns_->set_txt("_dmarc.a.test", {"v=DMARC1; p=quarantine"});
  EXPECT_EQ(judge(kMail, {{100, 0, 0}, {}}).decision(), v1::DECISION_JUNK) << "whatever the score";
  dns_->set_txt("_dmarc.a.test", {"v=DMARC1; p=none"});
  out = judge(kMail);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(symbols(out), "SPF_FAIL DKIM_NONE DMARC_FAIL IPREV_NONE ");
  settings_.policy.honour_dmarc = false;
  for (const char* policy : {"reject", "quarantine"}) {
    dns_->set_txt("_dmarc.a.test", {std::string("v=DMARC1; p=") + policy});
    EXPECT_EQ(judge(kMail, {{100, 0, 0}, {}}).decision(), v1::DECISION_ACCEPT);
  }
}

TEST_F(MailAuthenticationTest, OnlyMailFromOutsideIsChecked) {
  account_ = 7;
  client_ = "192.0.2.9";
  EXPECT_EQ(judge(kMail).decision(), v1::DECISION_ACCEPT);
  account_ = 0;
  client_ = "::ffff:127.0.0.1";
  const auto out = judge(kMail);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(out.edits(0).value(), "mx.test; none");
  EXPECT_EQ(dns_->questions(), 0);
  EXPECT_EQ(observer_->dmarc, "unknown");
}

TEST_F(MailAuthenticationTest, DnsThatIsDownMarksOrDefers) {
  for (const char* name : {"a.test", "_dmarc.a.test", "e._domainkey.a.test"})
    dns_->set_txt_status(name, dns::Status::kTemporary);
  dns_->set_names_status("192.0.2.1", dns::Status::kTemporary);
  auto out = judge(signed_by("a.test", kMail));
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(symbols(out), "SPF_TEMPERROR DKIM_TEMPERROR DMARC_TEMPERROR IPREV_TEMPERROR ");
  for (const auto& symbol : out.symbols()) EXPECT_TRUE(symbol.not_checked());
  for (const char* method : {"spf", "dkim", "dmarc", "iprev"})
    EXPECT_NE(out.edits(0).value().find(std::string(method) + "=temperror"), std::string::npos) << method;
  settings_.when_unchecked = WhenUnchecked::kTemporary;
  out = judge(kMail);
  EXPECT_EQ(out.decision(), v1::DECISION_TEMPORARY);
  EXPECT_EQ(out.reply().code(), 451);
}

// A forger who signs with a name below a broken part of the author's DNS.
TEST_F(MailAuthenticationTest, WhatOnlyAFailureLeavesOpenIsNotTrusted) {
  client_ = "192.0.2.9";
  dns_->set_txt_status("e._domainkey.broken.a.test", dns::Status::kTemporary);
  const auto out = judge(signed_by("broken.a.test", kMail), {{100, 0, 0}, {}});
  EXPECT_EQ(out.decision(), v1::DECISION_JUNK);
  EXPECT_EQ(symbols(out), "SPF_FAIL DKIM_TEMPERROR DMARC_UNDECIDED IPREV_NONE ");
}

TEST_F(MailAuthenticationTest, ATrustedForwarderOverrulesDmarc) {
  client_ = "192.0.2.9";
  dns_->set_txt("e._domainkey.list.test", {keys::ed25519().key_record()});
  const auto size = mime::header_block_size(kMail);
  mailauth::BodyHashes hashes;
  hashes.add(mailauth::Canonical::kRelaxed, std::nullopt);
  hashes.update(kMail.substr(size));
  hashes.finish();
  mailauth::ArcSealOptions how;
  how.domain = "list.test";
  how.selector = "e";
  how.authserv_id = "mx.list.test";
  how.results = "dmarc=pass header.from=a.test";
  const auto sealed = mailauth::seal_arc(kMail.substr(0, size), hashes, {}, keys::ed25519(), how).value() + kMail;
  EXPECT_EQ(judge(sealed).decision(), v1::DECISION_REFUSE);
  settings_.policy.trusted_sealers = {"list.test"};
  const auto out = judge(sealed);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  EXPECT_NE(symbols(out).find("DMARC_ARC"), std::string::npos);
  EXPECT_NE(out.edits(0).value().find("arc=pass header.d=list.test"), std::string::npos);
}

TEST_F(MailAuthenticationTest, ResultsFitIntoAPrefix) {
  std::string mail = kMail;
  const std::string label(60, 'x');
  for (int i = 0; i < 10; ++i) {
    const std::string name = label + "." + label + "." + label;
    mail.insert(0, "DKIM-Signature: v=1; a=rsa-sha256; h=from; bh=aaaa; b=aaaa; d=" + name + "; s=" + name + "\r\n");
  }
  const auto out = judge(mail);
  EXPECT_LT(out.edits(0).value().size(), 5000U);
  EXPECT_NE(out.edits(0).value().find("dmarc=pass"), std::string::npos);
}

// A key record may hold any octets; a field and a call's text may not.
TEST_F(MailAuthenticationTest, WhatDnsSaysStaysText) {
  dns_->set_txt("e._domainkey.a.test", {"v=DKIM1; k=\xff\xfe\x01; p=AAAA"});
  const auto out = judge(signed_by("a.test", kMail));
  EXPECT_TRUE(v1::CheckMessageResponse().ParseFromString(out.SerializeAsString()));
  EXPECT_NE(out.edits(0).value().find("dkim=permerror"), std::string::npos);
}

}  // namespace
}  // namespace merpati::filter
