// The ARC set on what goes on elsewhere: what is sealed, over what, and when there is none.
#include "filter/arc_stage.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include "filter/mail_authentication_engine.hpp"
#include "filter/rpc/filter_service.hpp"
#include "merpati/config/v1/filter.pb.h"
#include "merpati/dns/static_resolver.hpp"
#include "merpati/mime/header.hpp"
#include "support/loop.hpp"
#include "unit/mailauth/messages.hpp"

namespace merpati::filter {
namespace {
namespace keys = mailauth::test_messages;
using mailauth::ArcResult;
using Edits = google::protobuf::RepeatedPtrField<v1::HeaderEdit>;

const std::string kMail = "From: joe@a.test\r\nTo: team@ours.test\r\nSubject: x\r\n\r\nbody\r\n";

std::string signed_by(const std::string& domain, const std::string& mail) {
  mailauth::DkimSignOptions how;
  how.domain = domain;
  how.selector = "e";
  return mailauth::sign_dkim(mail, keys::ed25519(), how).value() + mail;
}

std::string prepended(const Edits& edits) {
  std::string out;
  for (const auto& edit : edits)
    if (edit.kind() == v1::HeaderEdit::KIND_PREPEND) out += edit.name() + ": " + edit.value() + "\r\n";
  return out;
}

/// What stands in front of a recipient's copy that goes on.
Edits onward(const v1::CheckMessageResponse& response, int recipient) {
  const auto& actions = response.recipients(recipient).actions();
  return actions.size() == 1 ? actions[0].redirect().edits() : Edits();
}
bool has_seal(const Edits& edits) { return prepended(edits).find("ARC-") != std::string::npos; }

class ArcStageTest : public ::testing::Test {
 protected:
  ArcStageTest() {
    for (const char* domain : {"a.test", "list.test", "ours.test"})
      dns_->set_txt("e._domainkey." + std::string(domain), {keys::ed25519().key_record()});
    dns_->set_txt("r._domainkey.ours.test", {keys::rsa().key_record()});
    dns_->set_txt("_dmarc.a.test", {"v=DMARC1; p=none"});
    request_.mutable_transaction()->set_client_address("192.0.2.1");
    request_.mutable_transaction()->set_helo("mail.a.test");
    request_.mutable_transaction()->set_reverse_path("joe@a.test");
    request_.mutable_transaction()->set_receiving_host("mx.ours.test");
  }

  ArcStage stage() {
    ArcSealerSettings settings{"ours.test", "r", keys::rsa()};
    return {ArcSealer(std::move(settings), dns_, blocking_, metrics_), "mx.ours.test", nullptr, 1 << 20};
  }

  void set_message(const std::string& message) {
    request_.set_message(message);
    request_.set_size(message.size());
  }
  void to_alias(const std::string& address) {
    auto& recipient = *request_.add_recipients();
    recipient.set_recipient(address);
    recipient.set_alias("team@ours.test");
  }

  /// Through the service: with who sent it.
  v1::CheckMessageResponse judge() {
    ArcStage arc = stage();
    FilterService service("mx.ours.test", {}, {}, metrics_, nullptr, blocking_);
    service.add_engine(std::make_shared<MailAuthenticationEngine>(MailAuthenticationSettings(), dns_, blocking_));
    service.set_arc(arc);
    rpc::Context context;
    return loop_.run(service.check_message(context, request_)).value();
  }
  /// Over a verdict that is there.
  void apply(v1::CheckMessageResponse& response) {
    ArcStage arc = stage();
    MessageView view;
    view.whole = !request_.message().empty();
    const std::string octets = request_.header_prefix() + request_.message();
    view.message = octets;
    view.header_block = view.message.substr(0, mime::header_block_size(octets));
    rpc::CallOptions call;
    call.deadline = Deadline::after(std::chrono::seconds(20));
    ASSERT_TRUE(loop_.run(arc.apply(request_, view, call, response)).has_value());
  }
  v1::CheckMessageResponse accepted() const {
    v1::CheckMessageResponse response;
    response.set_decision(v1::DECISION_ACCEPT);
    for (int i = 0; i < request_.recipients_size(); ++i) response.add_recipients()->set_decision(v1::DECISION_ACCEPT);
    return response;
  }

  mailauth::ArcOutcome chain(const std::string& message) {
    return loop_.run(mailauth::verify_arc(*dns_, message, WallTime::clock::now(), Deadline::never())).value();
  }
  std::string sealed_by_list(const std::string& mail) {
    mailauth::BodyHashes hashes;
    const auto size = mime::header_block_size(mail);
    hashes.add(mailauth::Canonical::kRelaxed, std::nullopt);
    hashes.update(mail.substr(size));
    hashes.finish();
    mailauth::ArcSealOptions how;
    how.domain = "list.test";
    how.selector = "e";
    how.authserv_id = "mx.list.test";
    how.results = "dmarc=pass header.from=a.test";
    return mailauth::seal_arc(mail.substr(0, size), hashes, {}, keys::ed25519(), how).value() + mail;
  }
  static std::string text(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  }

  v1::CheckMessageRequest request_;
  std::shared_ptr<dns::StaticResolver> dns_ = std::make_shared<dns::StaticResolver>();
  runtime::Metrics metrics_;
  test::Loop loop_;  ///< outlives the pool, whose threads call back into it
  asio::thread_pool blocking_{1};
};

TEST_F(ArcStageTest, AliasesThatLeadElsewhere) {
  set_message(signed_by("a.test", kMail));
  to_alias("one@elsewhere.test");
  to_alias("two@elsewhere.test");
  request_.add_recipients()->set_account_id(7);
  const auto out = judge();
  const std::string received = "Received: from x\r\n";
  const std::string leaves = prepended(onward(out, 0)) + prepended(out.edits()) + received + request_.message();
  EXPECT_TRUE(leaves.starts_with("ARC-Seal: i=1;")) << leaves;
  const auto found = chain(leaves);
  EXPECT_EQ(found.result, ArcResult::kPass) << found.problem << "\n" << leaves;
  ASSERT_EQ(found.sets.size(), 1U);
  EXPECT_EQ(found.sets[0].cv, "none");
  EXPECT_EQ(found.sets[0].domain, "ours.test");
  EXPECT_TRUE(found.sets[0].results.starts_with(" mx.ours.test;") || found.sets[0].results.starts_with("mx.ours.test;"))
      << found.sets[0].results;
  for (const char* part : {"dkim=pass header.d=a.test", "dmarc=pass header.from=a.test", "arc=none"})
    EXPECT_NE(found.sets[0].results.find(part), std::string::npos) << found.sets[0].results;
  EXPECT_EQ(prepended(onward(out, 1)), prepended(onward(out, 0))) << "they leave together";
  EXPECT_EQ(out.recipients(2).edits_size(), 0) << "who is here needs no seal";
  const auto dkim = loop_.run(mailauth::verify_dkim(*dns_, leaves, WallTime::clock::now(), Deadline::never())).value();
  EXPECT_EQ(dkim.best(), mailauth::DkimResult::kPass);
}

TEST_F(ArcStageTest, WhatIsSubmittedIsNotForwarded) {
  set_message(kMail);
  to_alias("one@elsewhere.test");
  request_.mutable_transaction()->set_authenticated_account_id(7);
  EXPECT_EQ(judge().recipients(0).actions_size(), 0);
}

TEST_F(ArcStageTest, AChainGoesOn) {
  set_message(sealed_by_list(kMail));
  to_alias("one@elsewhere.test");
  const auto out = judge();
  const std::string leaves = prepended(onward(out, 0)) + prepended(out.edits()) + request_.message();
  const auto found = chain(leaves);
  EXPECT_EQ(found.result, ArcResult::kPass) << found.problem;
  ASSERT_EQ(found.sets.size(), 2U);
  EXPECT_EQ(found.sets[1].cv, "pass");
  EXPECT_NE(found.sets[1].results.find("arc=pass header.d=list.test"), std::string::npos);
}

// RFC 8617 5.1.2: the failure is sealed, once.
TEST_F(ArcStageTest, AChainThatFailedEnds) {
  set_message(text(sealed_by_list(kMail), "body", "another"));
  to_alias("one@elsewhere.test");
  const auto out = judge();
  const std::string leaves = prepended(onward(out, 0)) + prepended(out.edits()) + request_.message();
  EXPECT_NE(leaves.find("cv=fail"), std::string::npos) << leaves;
  const auto found = chain(leaves);
  EXPECT_EQ(found.result, ArcResult::kFail);
  ASSERT_EQ(found.sets.size(), 2U);
  EXPECT_EQ(found.sets[1].cv, "fail");
  set_message(leaves);
  request_.mutable_recipients(0)->set_alias("further@ours.test");
  EXPECT_FALSE(has_seal(onward(judge(), 0)));
}

// RFC 8617 5.1.2: so is that it is malformed.
TEST_F(ArcStageTest, AMalformedChainIsSealedAsFailed) {
  set_message("ARC-Message-Signature: i=2; nothing else\r\n" + signed_by("a.test", kMail));
  to_alias("one@elsewhere.test");
  const auto out = judge();
  const std::string leaves = prepended(onward(out, 0)) + prepended(out.edits()) + request_.message();
  EXPECT_TRUE(leaves.starts_with("ARC-Seal: i=3; a=rsa-sha256;")) << leaves;
  EXPECT_NE(leaves.find("cv=fail"), std::string::npos) << leaves;
  EXPECT_NE(leaves.find("dmarc=pass header.from=a.test"), std::string::npos) << "the next host learns what we saw";
}

// The queue expands aliases, too: who redirects to one of them, for example.
TEST_F(ArcStageTest, AnAliasThatTheQueueComesTo) {
  request_.set_scripts_only(true);
  request_.set_header_prefix("Authentication-Results: mx.ours.test;\r\n dmarc=pass header.from=a.test\r\n");
  set_message(signed_by("a.test", kMail));
  to_alias("one@elsewhere.test");
  const auto out = judge();
  const std::string leaves = prepended(onward(out, 0)) + request_.header_prefix() + request_.message();
  const auto found = chain(leaves);
  EXPECT_EQ(found.result, ArcResult::kPass) << found.problem << leaves;
  EXPECT_NE(found.sets.back().results.find("dmarc=pass header.from=a.test"), std::string::npos);
}

TEST_F(ArcStageTest, AChainThatCannotBeCheckedIsLeftAsItIs) {
  set_message(sealed_by_list(kMail));
  to_alias("one@elsewhere.test");
  dns_->set_txt_status("e._domainkey.list.test", dns::Status::kTemporary);
  EXPECT_FALSE(has_seal(onward(judge(), 0)));
}

TEST_F(ArcStageTest, RedirectsAsTheyLeave) {
  set_message(sealed_by_list(kMail));
  request_.add_recipients()->set_account_id(7);
  auto response = accepted();
  auto& results = *response.add_edits();
  results.set_kind(v1::HeaderEdit::KIND_PREPEND);
  results.set_name("Authentication-Results");
  results.set_value("mx.ours.test;\r\n spf=pass smtp.mailfrom=joe@a.test;\r\n dkim=none");
  const auto redirect = [&](const std::string& body) -> v1::Redirect& {
    auto& out = *response.mutable_recipients(0)->add_actions()->mutable_redirect();
    auto& trace = *out.add_edits();
    trace.set_kind(v1::HeaderEdit::KIND_PREPEND);
    trace.set_name("Delivered-To");
    trace.set_value("u7@ours.test");
    if (!body.empty()) out.mutable_body()->set_inline_(body);
    return out;
  };
  const std::string edited = text(request_.message(), "Subject: x", "Subject: changed by a script");
  const std::string bare = text(request_.message(), "ARC-Seal: i=1", "X-Removed: i=1");
  redirect("");
  redirect(edited);
  redirect(bare);
  apply(response);
  const auto& actions = response.recipients(0).actions();
  const auto leaves = [&](int i, const std::string& body) {
    return prepended(actions[i].redirect().edits()) + prepended(response.edits()) + body;
  };
  for (const auto& [i, body] : {std::pair(0, request_.message()), std::pair(1, edited)}) {
    const auto found = chain(leaves(i, body));
    EXPECT_EQ(found.sets.size(), 2U);
    EXPECT_EQ(found.result, ArcResult::kPass) << found.problem;
    EXPECT_NE(found.sets.back().results.find("spf=pass smtp.mailfrom=joe@a.test; dkim=none"), std::string::npos)
        << found.sets.back().results;
    EXPECT_NE(leaves(i, body).find("\r\nDelivered-To: u7@ours.test\r\n"), std::string::npos);
  }
  EXPECT_EQ(actions[2].redirect().edits_size(), 1) << "a chain that a script took apart is not carried on";
}

// What the queue brings was judged when it came: the results stand in front of it.
TEST_F(ArcStageTest, WhatTheQueueBringsIsSealedWithWhatWasFoundThen) {
  request_.set_scripts_only(true);
  request_.mutable_transaction()->set_receiving_host("");
  request_.set_header_prefix("Authentication-Results: mx.ours.test;\r\n dmarc=pass header.from=a.test\r\n");
  set_message("Authentication-Results: elsewhere.test; spf=fail\r\n" + kMail);
  request_.add_recipients()->set_account_id(7);
  auto response = accepted();
  response.mutable_recipients(0)->add_actions()->mutable_redirect();
  apply(response);
  const std::string leaves =
      prepended(response.recipients(0).actions(0).redirect().edits()) + request_.header_prefix() + request_.message();
  const auto found = chain(leaves);
  EXPECT_EQ(found.result, ArcResult::kPass) << found.problem << leaves;
  EXPECT_NE(found.sets.back().results.find("dmarc=pass header.from=a.test"), std::string::npos);
}

TEST_F(ArcStageTest, WhatIsRefusedOrTooLargeIsNot) {
  set_message(kMail);
  to_alias("one@elsewhere.test");
  auto response = accepted();
  response.mutable_recipients(0)->add_actions()->mutable_redirect()->set_address("one@elsewhere.test");
  auto refused = response;
  refused.mutable_recipients(0)->set_decision(v1::DECISION_REFUSE);
  apply(refused);
  EXPECT_FALSE(has_seal(onward(refused, 0)));
  auto sealed = response;
  apply(sealed);
  EXPECT_TRUE(has_seal(onward(sealed, 0)));
  request_.clear_message();
  apply(response);
  EXPECT_FALSE(has_seal(onward(response, 0)));
}

TEST_F(ArcStageTest, TheFieldsFitInFrontOfAMessage) {
  std::string mail = kMail;
  const std::string label(60, 'x');
  for (int i = 0; i < 10; ++i) {
    const std::string name = label + "." + label + "." + label;
    mail.insert(0, "DKIM-Signature: v=1; a=rsa-sha256; h=from; bh=aaaa; b=aaaa; d=" + name + "; s=" + name + "\r\n");
  }
  set_message(mail);
  to_alias("one@elsewhere.test");
  auto out = judge();
  std::string prefix = prepended(onward(out, 0)) + prepended(out.edits());
  EXPECT_EQ(chain(prefix + mail).result, ArcResult::kPass);
  EXPECT_LT(prefix.size(), 7500U);
  // As many addresses as a stranger likes make the list of what is signed longer than there is room.
  for (int i = 0; i < 900; ++i) mail.insert(0, "Resent-To: a@b.test\r\n");
  set_message(mail);
  EXPECT_FALSE(has_seal(onward(judge(), 0)));
}

TEST(ArcSealerSettings, FromTheConfiguration) {
  config::v1::Filter config;
  EXPECT_FALSE(arc_sealer_settings(config).value().has_value());
  const auto fault = [&] {
    const auto made = arc_sealer_settings(config);
    return made.has_error() ? std::string(made.error().message()) : std::string();
  };
  config.mutable_arc()->set_selector("s");
  EXPECT_NE(fault().find("no domain"), std::string::npos);
  config.mutable_arc()->set_domain("ours.test");
  EXPECT_NE(fault().find("filter.arc.key"), std::string::npos);
  config.mutable_arc()->set_key("no key");
  EXPECT_NE(fault().find("filter.arc.key"), std::string::npos);
  config.mutable_arc()->set_key(keys::make_key(0));
  EXPECT_EQ(fault(), "");
  EXPECT_TRUE(arc_sealer_settings(config).value().has_value());
  config.mutable_arc()->set_selector("");
  EXPECT_NE(fault().find("filter.arc.selector"), std::string::npos);
}

}  // namespace
}  // namespace merpati::filter
