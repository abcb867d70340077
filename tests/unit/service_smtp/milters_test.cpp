// A session in front of milters: what it tells them, and what the client hears of their answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client.hpp"
#include "fakes.hpp"

namespace merpati::smtp::testing {
namespace {

using filter::v1::DialogRequest;
using filter::v1::DialogResponse;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kMessage = "From: s@elsewhere.test\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nhello\r\n";

struct Milters : ::testing::Test {
  Edge& edge(std::vector<std::string> listeners = {"mx", "submission"}, config::v1::Smtp config = {}) {
    edge_ = std::make_unique<Edge>(config, true, std::move(listeners));
    return *edge_;
  }
  FakeMilters& milters() { return edge_->milters; }
  std::uint16_t mx() { return edge_->port(0); }

  static FakeMilters::Answer refusal(int code, const std::string& text, bool close = false) {
    return [=](const DialogRequest&, DialogResponse& response) {
      response.set_decision(code < 500 ? filter::v1::DECISION_TEMPORARY : filter::v1::DECISION_REFUSE);
      response.set_milter("m");
      response.mutable_reply()->set_code(code);
      response.mutable_reply()->set_enhanced(code < 500 ? "4.7.9" : "5.7.9");
      response.mutable_reply()->set_text(text);
      response.set_close(close);
    };
  }
  static FakeMilters::Answer discard() {
    return [](const DialogRequest&, DialogResponse& response) {
      response.set_decision(filter::v1::DECISION_DISCARD);
      response.set_milter("m");
    };
  }
  static FakeMilters::Answer change(const std::function<void(filter::v1::MessageChanges&)>& fill) {
    return [=](const DialogRequest&, DialogResponse& response) { fill(*response.mutable_changes()); };
  }
  std::string mail(const std::vector<std::string>& to = {"alice@example.test"}, const std::string& message = kMessage) {
    Client client(mx());
    return client.mail("s@elsewhere.test", to, message);
  }

 private:
  std::unique_ptr<Edge> edge_;
};

TEST_F(Milters, WithoutAnyNobodyIsAsked) {
  auto& plain = edge({});
  mail();  // what is not known yet at the first session is known then
  const auto before = plain.milters.dialogs.load();
  EXPECT_THAT(mail(), StartsWith("250"));
  EXPECT_EQ(plain.milters.dialogs, before);
}

TEST_F(Milters, HearTheWholeDialogAndTheMessageOnce) {
  edge();
  {
    Client client(mx());
    client.say("EHLO client.test");
    client.say("XYZZY 1");
    client.say("MAIL FROM:<s@elsewhere.test> SIZE=100 BODY=8BITMIME");
    client.say("RCPT TO:<nobody@example.test>");
    client.say("RCPT TO:<alice@example.test>");
    client.say("DATA");
    client.send(kMessage + ".\r\n");
    EXPECT_THAT(client.hear(), StartsWith("250"));
    client.say("MAIL FROM:<>");
    client.say("RSET");
    client.say("QUIT");
  }
  const std::string all = "connect hello unknown mail recipient recipient data content mail abort";
  EXPECT_EQ(milters().told(all), all);
  std::lock_guard lock(milters().mutex);
  const auto& heard = milters().heard;
  EXPECT_EQ(heard[0].connect().listener(), "mx");
  EXPECT_EQ(heard[0].connect().client_address(), "127.0.0.1");
  EXPECT_EQ(heard[1].hello().name(), "client.test");
  EXPECT_EQ(heard[2].unknown().line(), "XYZZY 1");
  ASSERT_EQ(heard[3].mail().parameters_size(), 2);
  EXPECT_EQ(heard[3].mail().parameters(1), "BODY=8BITMIME");
  EXPECT_EQ(heard[4].recipient().recipient(), "nobody@example.test");
  EXPECT_EQ(heard[4].recipient().refused().enhanced(), "5.1.1");
  EXPECT_FALSE(heard[5].recipient().has_refused());
  EXPECT_EQ(heard[7].content().header() + heard[7].content().body(), kMessage);
  EXPECT_EQ(heard[7].content().size(), kMessage.size());
}

TEST_F(Milters, RefuseAtEachStageInTheirOwnWords) {
  edge();
  milters().answers["mail"] = refusal(550, "no sender");
  EXPECT_EQ(mail(), "550 5.7.9 no sender");
  milters().answers = {{"recipient", refusal(450, "no recipient")}};
  EXPECT_EQ(mail(), "450 4.7.9 no recipient");
  milters().answers = {{"data", refusal(554, "no data")}};
  EXPECT_EQ(mail(), "554 5.7.9 no data");
  milters().answers = {{"content", refusal(550, "no message")}};
  EXPECT_EQ(mail(), "550 5.7.9 no message");
  milters().answers = {{"hello", refusal(550, "no name")}};
  Client client(mx());
  EXPECT_EQ(client.say("EHLO x.test"), "550 5.7.9 no name");
  EXPECT_THAT(client.say("MAIL FROM:<>"), StartsWith("503"));
  milters().answers = {{"unknown", refusal(500, "what?")}};
  EXPECT_EQ(client.say("XYZZY"), "500 5.7.9 what?");
  EXPECT_THAT(client.say("EHLO x.test"), StartsWith("250"));
}

TEST_F(Milters, RefuseTheConnection) {
  edge();
  milters().answers["connect"] = refusal(554, "go away");
  Client client(mx(), "554 5.7.9 go away");
  EXPECT_THAT(client.say("EHLO x.test"), StartsWith("503 5.5.1"));
  EXPECT_THAT(client.say("QUIT"), StartsWith("221"));
  milters().answers["connect"] = refusal(421, "later", true);
  Client other(mx(), "421 4.7.9 later");
  EXPECT_EQ(other.hear(), "");
  milters().answers["connect"] = refusal(451, "later");  // no greeting has this code
  Client third(mx(), "421 4.7.9 later");
  EXPECT_EQ(third.hear(), "");
}

TEST_F(Milters, ARefusedRecipientIsNoneAndOthersGoOn) {
  auto& e = edge();
  milters().answers["recipient"] = [](const DialogRequest& request, DialogResponse& response) {
    if (request.recipient().recipient() != "bob@example.test") return;
    refusal(550, "not bob")(request, response);
  };
  Client client(mx());
  client.say("EHLO x.test");
  client.say("MAIL FROM:<s@elsewhere.test>");
  EXPECT_EQ(client.say("RCPT TO:<bob@example.test>"), "550 5.7.9 not bob");
  EXPECT_THAT(client.say("RCPT TO:<alice@example.test>"), StartsWith("250"));
  client.say("DATA");
  client.send(kMessage + ".\r\n");
  EXPECT_THAT(client.hear(), StartsWith("250"));
  EXPECT_EQ(e.store.only_mail().account, 7);
}

TEST_F(Milters, ManyLinesStayManyLines) {
  edge();
  milters().answers["mail"] = refusal(550, "one\ntwo");
  Client client(mx());
  client.say("EHLO x.test");
  client.send("MAIL FROM:<>\r\n");
  EXPECT_EQ(client.hear(), "550 5.7.9 two") << "behind 550-5.7.9 one";
}

TEST_F(Milters, PipelinedCommandsAreAnsweredInOrder) {
  edge();
  milters().answers["recipient"] = [](const DialogRequest& request, DialogResponse& response) {
    if (request.recipient().recipient() == "bob@example.test") refusal(550, "not bob")(request, response);
  };
  Client client(mx());
  client.say("EHLO x.test");
  client.send("MAIL FROM:<s@elsewhere.test>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n");
  for (const char* reply : {"250 2.1.0", "550 5.7.9 not bob", "250 2.1.5", "354"})
    EXPECT_THAT(client.hear(), StartsWith(reply));
  client.send(kMessage + ".\r\nQUIT\r\n");
  EXPECT_THAT(client.hear(), StartsWith("250 2.0.0 Ok"));
  EXPECT_THAT(client.hear(), StartsWith("221"));
}

TEST_F(Milters, ARefusedChunkIsReadToItsEnd) {
  edge();
  milters().answers["data"] = refusal(554, "no data");
  Client client(mx());
  client.say("EHLO x.test");
  client.say("MAIL FROM:<s@elsewhere.test>");
  client.say("RCPT TO:<alice@example.test>");
  client.send("BDAT 6\r\nNOOP\r\nNOOP\r\n");
  EXPECT_EQ(client.hear(), "554 5.7.9 no data");
  EXPECT_THAT(client.hear(), StartsWith("250 2.0.0"));
}

TEST_F(Milters, DiscardedMailIsAcceptedAndGone) {
  auto& e = edge();
  for (const char* stage : {"mail", "recipient", "data", "content"}) {
    milters().answers = {{stage, discard()}};
    EXPECT_THAT(mail(), StartsWith("250")) << stage;
  }
  EXPECT_TRUE(e.store.mails.empty());
  EXPECT_TRUE(e.filter.last.recipients().empty()) << "nor is anybody else asked";
}

TEST_F(Milters, ChangesAreDeliveredAndEnginesSeeWhatCame) {
  auto& e = edge();
  const std::string header = "X-New: 1\r\nFrom: s@elsewhere.test\r\n\r\n";
  milters().answers["content"] = change([=](auto& changes) { changes.set_header(header); });
  EXPECT_THAT(mail(), StartsWith("250"));
  EXPECT_EQ(e.store.only_mail().body, header + "hello\r\n");
  EXPECT_EQ(e.filter.last.message(), header + "hello\r\n");
  EXPECT_EQ(e.filter.last.received().header(), kMessage.substr(0, kMessage.size() - 7));
  EXPECT_TRUE(e.filter.last.received().message().empty());
  EXPECT_TRUE(e.filter.last.results_checked() && e.filter.last.transaction().milters_asked());
}

TEST_F(Milters, ANewBodyComesInParts) {
  auto& e = edge();
  milters().answers["content"] = [](const DialogRequest&, DialogResponse& response) {
    response.mutable_changes()->set_new_body(true);
    response.set_body("new body\r\n");
  };
  EXPECT_THAT(mail(), StartsWith("250"));
  const auto header = kMessage.substr(0, kMessage.size() - 7);
  EXPECT_EQ(e.store.only_mail().body, header + "new body\r\n");
  EXPECT_EQ(e.filter.last.received().message(), kMessage);
}

TEST_F(Milters, LargeMessagesGoInPartsAndKeepTheirBody) {
  auto& e = edge();
  const std::string large = kMessage + std::string(600'000, 'x') + "\r\n";
  const std::string header = "X-New: 1\r\n\r\n";
  milters().answers["content"] = change([=](auto& changes) { changes.set_header(header); });
  EXPECT_THAT(mail({"alice@example.test"}, large), StartsWith("250"));
  std::string told;
  for (const auto& request : milters().heard) told += request.content().header() + request.content().body();
  EXPECT_EQ(told, large);
  EXPECT_EQ(e.store.only_mail().body, header + large.substr(kMessage.size() - 7));
  EXPECT_FALSE(e.filter.last.received().header().empty());
}

TEST_F(Milters, SenderAndRecipients) {
  auto& e = edge();
  milters().answers["content"] = change([](auto& changes) {
    changes.set_reverse_path("other@elsewhere.test");
    changes.add_deleted_recipients("ALICE@example.test");
    changes.add_added_recipients("bob@example.test");
    changes.add_added_recipients("friend@elsewhere.test");
    changes.add_added_recipients("nobody@example.test");
  });
  EXPECT_THAT(mail(), StartsWith("250"));
  EXPECT_EQ(e.store.only_mail().account, 8);
  EXPECT_THAT(e.store.only_mail().prefix, StartsWith("Return-Path: <other@elsewhere.test>"));
  ASSERT_EQ(e.queue.items.size(), 1U);
  EXPECT_EQ(e.queue.items[0].recipients(0).address(), "friend@elsewhere.test");
  EXPECT_EQ(e.filter.last.received().reverse_path(), "s@elsewhere.test");
  EXPECT_EQ(e.filter.last.transaction().reverse_path(), "other@elsewhere.test");
}

TEST_F(Milters, WithoutRecipientsThereIsNobodyToTell) {
  auto& e = edge();
  milters().answers["content"] = change([](auto& changes) { changes.add_deleted_recipients("alice@example.test"); });
  EXPECT_THAT(mail(), StartsWith("250"));
  EXPECT_TRUE(e.store.mails.empty());
}

TEST_F(Milters, QuarantineIsJunkHereAndARefusalForMailThatLeaves) {
  auto& e = edge();
  milters().answers["content"] = change([](auto& changes) { changes.set_quarantine("smells"); });
  EXPECT_THAT(mail(), StartsWith("250"));
  EXPECT_TRUE(e.store.only_mail().junk);
  EXPECT_EQ(mail({"alice@example.test", "team@example.test"}), "550 5.7.1 Held by policy: smells");
  EXPECT_EQ(e.store.mails.size(), 1U);
}

TEST_F(Milters, AStreamThatBreaksIsA451AndTheNextMessageGoesOn) {
  auto& e = edge();
  for (const char* stage : {"mail", "recipient", "data", "content"}) {
    milters().breaks_at = stage;
    Client client(mx());
    EXPECT_THAT(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage), StartsWith("451 4.7.1")) << stage;
    milters().breaks_at.clear();
    client.say("RSET");
    EXPECT_THAT(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage), StartsWith("250")) << stage;
  }
  EXPECT_EQ(e.store.mails.size(), 4U);
  EXPECT_EQ(e.store.seen.size(), 4U) << "none was lost, none doubled";
}

TEST_F(Milters, OrItGoesOnWhereTheirPolicySaysSo) {
  auto& e = edge();
  milters().accept_when_lost = true;
  for (const char* stage : {"connect", "hello", "mail", "recipient", "data", "content"}) {
    milters().breaks_at = stage;
    const bool asked = std::string(stage) != "connect" && std::string(stage) != "hello";
    EXPECT_THAT(mail(), StartsWith(asked ? "250" : "451")) << stage;
  }
  EXPECT_EQ(e.store.mails.size(), 4U);
  EXPECT_TRUE(e.filter.last.transaction().milters_asked());
}

TEST_F(Milters, AFilterThatIsAwayIsTheListenersPolicyToAccept) {
  config::v1::Smtp config;
  config.set_filter_down(config::v1::FILTER_DOWN_ACCEPT);
  auto& e = edge({"mx"}, config);
  milters().fail = Error(ErrorCode::kUnavailable, "away");
  EXPECT_THAT(mail(), StartsWith("250"));
  EXPECT_FALSE(e.filter.last.transaction().milters_asked()) << "it is the filter that says what comes of it";
}

TEST_F(Milters, AFilterThatIsAwayIsATemporaryRefusalByDefault) {
  auto& e = edge({"mx"});
  milters().fail = Error(ErrorCode::kUnavailable, "away");
  EXPECT_THAT(mail(), StartsWith("451"));
  EXPECT_TRUE(e.store.mails.empty());
}

TEST_F(Milters, WhoWantNothingMoreAreNotAsked) {
  edge();
  milters().wanted.clear();
  EXPECT_THAT(mail(), StartsWith("250"));
  EXPECT_EQ(milters().told(), "connect");
}

TEST_F(Milters, SubmittedMailIsShownAsItIsSent) {
  auto& e = edge();
  Client client(e.port(1));
  client.say("EHLO x.test");
  client.say("AUTH PLAIN " + to_base64(std::string_view("\0alice@example.test\0secret", 26)));
  client.say("MAIL FROM:<alice@example.test>");
  client.say("RCPT TO:<bob@example.test>");
  client.say("DATA");
  client.send("From: alice@example.test\r\n\r\nhello\r\n.\r\n");
  EXPECT_THAT(client.hear(), StartsWith("250"));
  std::lock_guard lock(milters().mutex);
  const auto& heard = milters().heard;
  EXPECT_EQ(heard[0].connect().listener(), "submission");
  EXPECT_EQ(heard[2].mail().authenticated_address(), "alice@example.test");
  EXPECT_EQ(heard[2].mail().mechanism(), "PLAIN");
  const auto& shown = heard.back().content().header();
  EXPECT_THAT(shown, HasSubstr("Date: "));
  EXPECT_THAT(shown, HasSubstr("Message-ID: <"));
  EXPECT_EQ(e.store.only_mail().body, shown + "hello\r\n") << "what a signature was made over";
}

}  // namespace
}  // namespace merpati::smtp::testing
