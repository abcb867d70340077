// Mail from outside that an alias leads elsewhere: its sender, its trace, and where circles end.
#include "filter/forwarding.hpp"

#include <gmock/gmock.h>

namespace merpati::filter {
namespace {

using testing::StartsWith;

const std::string kHeader = "From: bob@remote.test\r\nTo: team@ours.test\r\nSubject: x\r\n\r\n";

class Forwarding : public ::testing::Test {
 protected:
  Forwarding() {
    request_.mutable_transaction()->set_reverse_path("bob@remote.test");
    to_alias("one@elsewhere.test");
  }
  void to_alias(const std::string& address, const std::string& alias = "team@ours.test") {
    auto& recipient = *request_.add_recipients();
    recipient.set_recipient(address);
    recipient.set_alias(alias);
  }
  void to_account(std::int64_t id) { request_.add_recipients()->set_account_id(id); }

  v1::CheckMessageResponse accepted() const {
    v1::CheckMessageResponse response;
    response.set_decision(v1::DECISION_ACCEPT);
    for (int i = 0; i < request_.recipients_size(); ++i) response.add_recipients()->set_decision(v1::DECISION_ACCEPT);
    return response;
  }
  v1::CheckMessageResponse forward(v1::CheckMessageResponse response, const std::string& header = kHeader) const {
    forward_aliases(request_, header, srs_ ? &*srs_ : nullptr, now_, response);
    return response;
  }
  v1::CheckMessageResponse forward(const std::string& header = kHeader) const { return forward(accepted(), header); }
  /// What the first recipient's copy goes on with.
  v1::Redirect redirect(const std::string& header = kHeader) const {
    const auto response = forward(header);
    EXPECT_EQ(response.recipients(0).actions_size(), 1);
    return response.recipients(0).actions_size() == 1 ? response.recipients(0).actions(0).redirect() : v1::Redirect();
  }
  std::string sender() const { return redirect().reverse_path(); }
  bool is_left_alone() const { return forward().SerializeAsString() == accepted().SerializeAsString(); }

  v1::CheckMessageRequest request_;
  std::optional<mailauth::Srs> srs_{std::in_place, "ours.test", std::vector<std::string>{"0123456789abcdef"}};
  const WallTime now_{std::chrono::seconds(1'700'000'000)};
};

TEST_F(Forwarding, TheSenderIsRewrittenAndTheTraceNamesTheAlias) {
  const auto out = redirect();
  EXPECT_EQ(out.address(), "one@elsewhere.test");
  EXPECT_THAT(out.reverse_path(), StartsWith("SRS0="));
  EXPECT_EQ(srs_->reverse(out.reverse_path(), now_).value(), "bob@remote.test") << "its bounces find the author";
  ASSERT_EQ(out.edits_size(), 1);
  EXPECT_EQ(out.edits(0).name(), "Delivered-To");
  EXPECT_EQ(out.edits(0).value(), "team@ours.test");
  EXPECT_FALSE(out.has_body());
  EXPECT_EQ(forward().SerializeAsString(), forward().SerializeAsString()) << "a repeated call gets the same";
}

TEST_F(Forwarding, SendersThatStayAsTheyAre) {
  request_.mutable_transaction()->set_reverse_path("");
  EXPECT_EQ(sender(), "") << "a bounce stays one";
  request_.mutable_transaction()->set_reverse_path("SRS0=AAAAAAAA=AA=remote.test=bob@ours.test");
  EXPECT_EQ(sender(), "SRS0=AAAAAAAA=AA=remote.test=bob@ours.test") << "SPF passes as it is";
  const std::string too_long = std::string(60, 'x') + "@remote.test";
  request_.mutable_transaction()->set_reverse_path(too_long);
  EXPECT_EQ(sender(), too_long) << "the author hears of a failure";
  srs_.reset();
  request_.mutable_transaction()->set_reverse_path("bob@remote.test");
  EXPECT_EQ(sender(), "bob@remote.test");
}

TEST_F(Forwarding, ASenderThatTheVerdictReplaces) {
  auto response = accepted();
  response.set_reverse_path("other@remote.test");
  const auto rewritten = forward(response).recipients(0).actions(0).redirect().reverse_path();
  EXPECT_EQ(srs_->reverse(rewritten, now_).value(), "other@remote.test");
}

TEST_F(Forwarding, WhatOurUsersSubmitIsNotForwarded) {
  request_.mutable_transaction()->set_authenticated_account_id(7);
  EXPECT_TRUE(is_left_alone());
}

TEST_F(Forwarding, WhatTheQueueBringsIsForwardedUnlessWeComposedIt) {
  request_.set_scripts_only(true);
  EXPECT_TRUE(is_left_alone()) << "no host put a trace on it";
  request_.set_header_prefix("Received: from remote.test\r\n");
  EXPECT_THAT(sender(), StartsWith("SRS0="));
}

TEST_F(Forwarding, OnlyWhoIsElsewhereAndGetsIt) {
  to_account(7);
  to_alias("two@elsewhere.test");
  auto response = accepted();
  response.mutable_recipients(2)->set_decision(v1::DECISION_REFUSE);
  const auto out = forward(response);
  EXPECT_EQ(out.recipients(0).actions_size(), 1);
  EXPECT_EQ(out.recipients(1).actions_size(), 0);
  EXPECT_EQ(out.recipients(2).actions_size(), 0);
  response.set_decision(v1::DECISION_REFUSE);
  EXPECT_EQ(forward(response).recipients(0).actions_size(), 0);
}

TEST_F(Forwarding, AForwardedCopyKeepsItsOwnForm) {
  auto response = accepted();
  auto& edit = *response.mutable_recipients(0)->add_edits();
  edit.set_kind(v1::HeaderEdit::KIND_DELETE);
  edit.set_name("X-Secret");
  response.mutable_recipients(0)->mutable_body()->set_inline_("Subject: another\r\n\r\n");
  const auto out = forward(response);
  const auto& redirect = out.recipients(0).actions(0).redirect();
  ASSERT_EQ(redirect.edits_size(), 2);
  EXPECT_EQ(redirect.edits(1).name(), "X-Secret");
  EXPECT_EQ(redirect.body().inline_(), "Subject: another\r\n\r\n");
}

TEST_F(Forwarding, ACircleIsRefusedWhereNobodyTakesTheMessage) {
  for (const std::string before : {"Team@ours.test", "one@elsewhere.test"}) {
    const auto out = forward("Delivered-To: " + before + "\r\n" + kHeader);
    EXPECT_EQ(out.recipients(0).decision(), v1::DECISION_REFUSE) << before;
    EXPECT_EQ(out.recipients(0).reply().code(), 554);
    EXPECT_EQ(out.recipients(0).reply().enhanced(), "5.4.6");
    EXPECT_EQ(out.recipients(0).actions_size(), 0);
  }
  EXPECT_EQ(redirect("Delivered-To: another@ours.test\r\n" + kHeader).address(), "one@elsewhere.test");
}

TEST_F(Forwarding, ACircleIsDroppedWhereOthersTakeTheMessage) {
  to_account(7);
  const auto out = forward("Delivered-To: one@elsewhere.test\r\n" + kHeader);
  EXPECT_EQ(out.recipients(0).decision(), v1::DECISION_DISCARD) << "who has it needs no second one";
  EXPECT_NE(out.recipients(0).reply().text(), "") << "the trace says why";
  EXPECT_EQ(out.recipients(1).decision(), v1::DECISION_ACCEPT);
}

TEST_F(Forwarding, ManyHopsAreRefusedForTheyMayNotHaveIt) {
  to_account(7);
  std::string header = kHeader;
  for (int i = 0; i < 20; ++i) header.insert(0, "Delivered-To: u" + std::to_string(i) + "@ours.test\r\n");
  EXPECT_EQ(forward(header).recipients(0).decision(), v1::DECISION_REFUSE);
}

TEST_F(Forwarding, AnEdgeThatNamesNoAlias) {
  request_.mutable_recipients(0)->clear_alias();
  const auto out = redirect("Delivered-To: one@elsewhere.test\r\n" + kHeader);
  EXPECT_THAT(out.reverse_path(), StartsWith("SRS0="));
  EXPECT_EQ(out.edits_size(), 0);
}

}  // namespace
}  // namespace merpati::filter
