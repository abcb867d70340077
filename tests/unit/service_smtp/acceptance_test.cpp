#include "unit/service_smtp/client.hpp"
#include "unit/service_smtp/fakes.hpp"

namespace merpati::smtp::testing {
namespace {

using ::testing::Test;

const std::string kMessage = "From: x@elsewhere.test\r\nSubject: hi\r\n\r\nbody\r\n";

Error down() { return {ErrorCode::kUnavailable, "down"}; }

std::string login_line() { return "AUTH PLAIN " + to_base64(std::string("\0alice@example.test\0secret", 26)); }

TEST(Acceptance, DeliversWithTheTraceHeadersInOrder) {
  Edge edge;
  Client client(edge.port(0));
  EXPECT_TRUE(client.mail("sender@elsewhere.test", {"alice@example.test"}, kMessage).starts_with("250 2.0.0 Ok: "));
  const auto mail = edge.store.only_mail();
  EXPECT_EQ(mail.body, kMessage);
  EXPECT_TRUE(mail.prefix.starts_with(
      "Return-Path: <sender@elsewhere.test>\r\nDelivered-To: alice@example.test\r\n"
      "Received: from client.test ([127.0.0.1])\r\n\tby mx.example.test (Merpati) with ESMTP\r\n\tid "))
      << mail.prefix;
  EXPECT_NE(mail.prefix.find("\r\n\tfor <alice@example.test>;\r\n\t"), std::string::npos) << mail.prefix;
  EXPECT_TRUE(mail.prefix.ends_with(" +0000\r\n"));
}

TEST(Acceptance, OneCopyForAnAccountThatIsNamedTwiceAndForwardingOfAliases) {
  Edge edge;
  Client client(edge.port(0));
  EXPECT_EQ(
      client.mail("s@elsewhere.test", {"alice@example.test", "alice+x@example.test", "team@example.test"}, kMessage)
          .substr(0, 3),
      "250");
  EXPECT_EQ(edge.store.mails.size(), 2U);
  ASSERT_EQ(edge.queue.items.size(), 1U);
  EXPECT_EQ(edge.queue.items[0].recipients(0).address(), "friend@elsewhere.test");
  EXPECT_TRUE(edge.queue.items[0].held());
  EXPECT_EQ(edge.queue.released, std::vector<std::string>{edge.queue.items[0].delivery_id()});
}

TEST(Acceptance, NothingIsDeliveredWhenWhatLeavesCannotBeHeld) {
  Edge edge;
  edge.queue.fail = down();
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"team@example.test"}, kMessage).substr(0, 3), "451");
  EXPECT_TRUE(edge.store.mails.empty());
}

TEST(Acceptance, ADeliveryOfUnknownOutcomeIsRepeatedWithItsIdAndThenAskedAfter) {
  Edge edge;
  Client client(edge.port(0));
  edge.store.failures = {down()};
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_EQ(edge.store.deliveries, 2);
  EXPECT_EQ(edge.store.mails.size(), 1U);

  edge.store.failures = {down(), down()};
  edge.store.committed = true;
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250")
      << "it was committed";
  edge.store.failures = {down(), Error(ErrorCode::kResourceExhausted, "busy")};
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250")
      << "the first call was, whatever the second one says";
  edge.store.failures = {down(), down()};
  edge.store.committed = false;
  EXPECT_EQ(client.mail("s@elsewhere.test", {"team@example.test"}, kMessage).substr(0, 3), "451");
  EXPECT_EQ(edge.queue.dropped.size(), 1U) << "what was held is taken back";
  EXPECT_EQ(edge.store.resolutions, 3) << "one answer holds for all";
}

TEST(Acceptance, WhoHasACopyAfterAllIsNotSentAnother) {
  Edge edge;
  Client client(edge.port(0));
  edge.store.failures = {down(), down()};
  edge.store.committed_for = {7};
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_TRUE(edge.queue.items.empty()) << "whoever is served together has it together";
  EXPECT_EQ(edge.store.resolutions, 1);

  // The other cell's delivery is in doubt.
  edge.store.failures = {std::nullopt, down(), down()};
  edge.store.committed_for = {10};
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "far@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_TRUE(edge.queue.items.empty());
  edge.store.failures = {std::nullopt, down(), down()};
  edge.store.committed = std::nullopt;
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "far@example.test"}, kMessage).substr(0, 3), "451")
      << "nobody knows";
  EXPECT_TRUE(edge.queue.items.empty());
}

TEST(Acceptance, ALostReleaseIsFineBecauseTheQueueWillLearnOfTheDelivery) {
  Edge edge;
  edge.queue.release_fails = down();
  Client client(edge.port(0));
  for (const std::int64_t full : {8, 7}) {
    edge.store.over_quota = {full};
    EXPECT_EQ(client.mail("s@elsewhere.test", {"team@example.test"}, kMessage).substr(0, 3), "250");
    EXPECT_EQ(edge.queue.items.back().deciding_account_id(), 15 - full) << "who has a copy is asked about";
  }
}

TEST(Acceptance, WhatTheQueueTookBackMeanwhileIsEnqueuedOnceMore) {
  Edge edge;
  edge.queue.taken_back = true;
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"team@example.test"}, kMessage).substr(0, 3), "250");
  ASSERT_EQ(edge.queue.items.size(), 2U);
  EXPECT_TRUE(edge.queue.items[0].held());
  EXPECT_FALSE(edge.queue.items[1].held());
  EXPECT_NE(edge.queue.items[0].delivery_id(), edge.queue.items[1].delivery_id());
  EXPECT_EQ(edge.queue.items[1].body().inline_(), kMessage);
}

TEST(Acceptance, SomeRecipientsOverQuotaGoOnByTheQueueAllOverQuotaIsTemporary) {
  Edge edge;
  edge.store.over_quota = {8};
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, kMessage).substr(0, 3), "250");
  ASSERT_EQ(edge.queue.items.size(), 1U);
  EXPECT_EQ(edge.queue.items[0].recipients(0).address(), "bob@example.test");
  EXPECT_EQ(edge.queue.items[0].body().inline_(), kMessage);
  EXPECT_TRUE(edge.queue.items[0].held());
  EXPECT_TRUE(edge.queue.items[0].scripted()) << "what his script wants sent is sent already";
  EXPECT_EQ(edge.queue.released, std::vector<std::string>{edge.queue.items[0].delivery_id()});
  EXPECT_EQ(edge.store.only_mail().account, 7);
  EXPECT_EQ(client.mail("s@elsewhere.test", {"bob@example.test"}, kMessage), "452 4.2.2 Mailbox full");
}

TEST(Acceptance, AFullMailboxIsToldBeforeTheBody) {
  Edge edge;
  Client client(edge.port(0));
  client.say("EHLO client.test");
  EXPECT_EQ(client.say("MAIL FROM:<s@elsewhere.test> SIZE=6000").substr(0, 3), "250");
  EXPECT_EQ(client.say("RCPT TO:<full@example.test>"), "452 4.2.2 Mailbox full");
  EXPECT_EQ(client.say("RCPT TO:<alice@example.test>").substr(0, 3), "250") << "has no limit";
  client.say("RSET");
  EXPECT_EQ(client.mail("s@elsewhere.test", {"full@example.test"}, kMessage).substr(0, 3), "250");
  edge.store.room_fails = down();
  client.say("MAIL FROM:<s@elsewhere.test> SIZE=6000");
  EXPECT_EQ(client.say("RCPT TO:<full@example.test>").substr(0, 3), "250") << "the delivery decides";
}

TEST(Acceptance, NobodyHasACopyWhenTheQueueRefusesTheRest) {
  Edge edge;
  edge.store.over_quota = {8};
  edge.queue.fail = down();
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, kMessage).substr(0, 3), "451");
  EXPECT_TRUE(edge.store.mails.empty()) << "the client tries again for all of them";
  edge.queue.fail.reset();
  edge.queue.failures = {std::nullopt, down()};  // what leaves is held, the rest is refused
  EXPECT_EQ(client.mail("s@elsewhere.test", {"team@example.test"}, kMessage).substr(0, 3), "451");
  EXPECT_TRUE(edge.store.mails.empty());
  EXPECT_EQ(edge.queue.dropped, std::vector<std::string>{edge.queue.items[0].delivery_id()});
  EXPECT_TRUE(edge.queue.released.empty());
}

TEST(Acceptance, AnAliasOfSomebodyWhoIsFullBringsTheOthersNoSecondCopy) {
  Edge edge;
  edge.store.over_quota = {8};
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"team@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_EQ(edge.store.only_mail().account, 7);
  ASSERT_EQ(edge.queue.items.size(), 2U);
  EXPECT_EQ(edge.queue.dropped, std::vector<std::string>{edge.queue.items[0].delivery_id()});
  const auto& last = edge.queue.items[1];
  EXPECT_EQ(last.recipients(0).address(), "friend@elsewhere.test");
  ASSERT_EQ(last.also_size(), 1);
  ASSERT_EQ(last.also(0).recipients_size(), 1);
  EXPECT_EQ(last.also(0).recipients(0).address(), "bob@example.test");
  EXPECT_NE(last.also(0).delivery_id(), last.delivery_id());
  EXPECT_EQ(edge.queue.released, std::vector<std::string>{last.delivery_id()});
}

TEST(Acceptance, WhoBecomesFullMeanwhileIsLeftOutToo) {
  Edge edge;
  edge.store.over_quota = {8};
  edge.store.after_deliver = [&] { edge.store.over_quota = {7, 8}; };
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, kMessage),
            "452 4.2.2 Mailbox full");
  EXPECT_TRUE(edge.store.mails.empty());
  EXPECT_EQ(edge.queue.dropped.size(), 1U) << "what was held for bob comes again with the client";
}

TEST(Acceptance, LargeMailIsUploadedAndComesBackByteForByte) {
  config::v1::Smtp config;
  config.set_spill_threshold(100'000);
  Edge edge(config);
  for (const std::size_t size : {70'000U, 3'000'000U}) {
    std::string message = "Subject: large\r\n\r\n";
    for (int i = 0; message.size() < size; ++i) message += "line " + std::to_string(i) + " of a large message\r\n";
    Client client(edge.port(0));
    EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, message).substr(0, 3), "250");
    EXPECT_TRUE(edge.store.mails.back().body == message) << size;
    EXPECT_EQ(edge.filter.last.header(), "Subject: large\r\n\r\n");
    EXPECT_EQ(edge.filter.last.size(), message.size());
  }
}

TEST(Acceptance, WhatABackendCannotDoIsNeverTheMessagesFault) {
  Edge edge;
  std::string large = "Subject: large\r\n\r\n";
  while (large.size() < 70'000) large += "a line of a large message\r\n";
  // The bucket is gone; its key is refused; a conflict; not known there.
  for (const auto code : {ErrorCode::kFailedPrecondition, ErrorCode::kPermissionDenied, ErrorCode::kAlreadyExists,
                          ErrorCode::kNotFound, ErrorCode::kInvalidArgument, ErrorCode::kUnimplemented}) {
    const Error failure(code, "no bucket");
    edge.store.upload_fails = failure;
    Client uploading(edge.port(0));
    EXPECT_EQ(uploading.mail("s@elsewhere.test", {"alice@example.test"}, large).substr(0, 9), "451 4.3.0")
        << failure.describe();
    edge.store.upload_fails.reset();
    edge.store.failures = {failure, failure, failure, failure};
    Client delivering(edge.port(0));
    EXPECT_EQ(delivering.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "451")
        << failure.describe();
    edge.store.failures.clear();
  }
}

TEST(Acceptance, FilterEditsJunkAndRefusals) {
  Edge edge;
  using filter::v1::HeaderEdit;
  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    auto& added = *out.add_edits();
    added.set_kind(HeaderEdit::KIND_PREPEND);
    added.set_name("Authentication-Results");
    added.set_value("mx.example.test; none");
    auto& removed = *out.add_edits();
    removed.set_kind(HeaderEdit::KIND_DELETE);
    removed.set_name("authentication-results");
    removed.set_index(2);
    for (int i = 0; i < 2; ++i)
      out.add_recipients()->set_decision(i == 0 ? filter::v1::DECISION_REFUSE : filter::v1::DECISION_ACCEPT);
  };
  Client client(edge.port(0));
  const std::string message =
      "Authentication-Results: kept;\r\n\tfolded\r\nAUTHENTICATION-RESULTS : gone;\r\n more\r\nSubject: "
      "x\r\n\r\nAuthentication-Results: body\r\n";
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, message).substr(0, 3), "250");
  ASSERT_EQ(edge.store.mails.size(), 2U);
  EXPECT_EQ(edge.store.mails[0].body,
            "Authentication-Results: kept;\r\n\tfolded\r\nSubject: x\r\n\r\nAuthentication-Results: body\r\n");
  EXPECT_NE(edge.store.mails[0].prefix.find("\r\nAuthentication-Results: mx.example.test; none\r\nReceived: "),
            std::string::npos);
  EXPECT_TRUE(edge.store.mails[0].junk) << "a refusal that not all share files into Junk";
  EXPECT_FALSE(edge.store.mails[1].junk);

  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    out.set_decision(filter::v1::DECISION_REFUSE);
    out.mutable_reply()->set_code(554);
    out.mutable_reply()->set_enhanced("5.4.6");
    out.mutable_reply()->set_text("Mail loop");
  };
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage), "554 5.4.6 Mail loop");
}

TEST(Acceptance, ScriptsFileRedirectAndSend) {
  Edge edge;
  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    auto& results = *out.add_edits();
    results.set_kind(filter::v1::HeaderEdit::KIND_PREPEND);
    results.set_name("X-Checked");
    results.set_value("yes");
    auto& alice = *out.add_recipients();
    auto& first = *alice.add_actions()->mutable_file_into();
    first.set_mailbox("Lists/a");
    first.set_create(true);
    first.add_flags("\\Seen");
    alice.add_actions()->mutable_file_into();  // keep
    auto& plain = *alice.add_actions()->mutable_redirect();
    plain.set_address("one@elsewhere.test");
    plain.set_reverse_path("s@elsewhere.test");
    auto& edited = *alice.add_actions()->mutable_redirect();
    edited.set_address("two@elsewhere.test");
    edited.set_reverse_path("alice@example.test");
    auto& edit = *edited.add_edits();
    edit.set_kind(filter::v1::HeaderEdit::KIND_REPLACE);
    edit.set_name("Subject");
    edit.set_value("changed");
    auto& notice = *alice.add_actions()->mutable_send();
    notice.add_recipients("s@elsewhere.test");
    notice.set_message("Subject: away\r\n\r\nback soon\r\n");
    auto& bob = *out.add_recipients();
    bob.set_decision(filter::v1::DECISION_JUNK);
    auto& own = *bob.add_edits();
    own.set_kind(filter::v1::HeaderEdit::KIND_DELETE);
    own.set_name("Subject");
  };
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, kMessage).substr(0, 3), "250");
  ASSERT_EQ(edge.store.mails.size(), 3U);
  EXPECT_EQ(edge.store.mails[0].mailbox, "Lists/a");
  EXPECT_EQ(edge.store.mails[0].flags, std::vector<std::string>{"\\Seen"});
  EXPECT_EQ(edge.store.mails[1].mailbox, "");
  EXPECT_EQ(edge.store.mails[1].body, kMessage);
  EXPECT_NE(edge.store.mails[1].prefix.find("\r\nX-Checked: yes\r\nReceived: "), std::string::npos);
  EXPECT_TRUE(edge.store.mails[2].junk);
  EXPECT_EQ(edge.store.mails[2].body, "From: x@elsewhere.test\r\n\r\nbody\r\n");
  EXPECT_EQ(edge.store.deliveries, 1) << "all copies in one commit";
  ASSERT_EQ(edge.queue.items.size(), 1U) << "one call, all or none";
  const auto& main = edge.queue.items[0];
  EXPECT_TRUE(main.held());
  EXPECT_EQ(main.recipients(0).address(), "one@elsewhere.test");
  EXPECT_EQ(main.body().inline_(), kMessage);
  ASSERT_EQ(main.also_size(), 2);
  EXPECT_EQ(main.also(0).recipients(0).address(), "two@elsewhere.test");
  EXPECT_EQ(main.also(0).reverse_path(), "alice@example.test");
  EXPECT_EQ(main.also(0).body().inline_(), "From: x@elsewhere.test\r\nSubject: changed\r\n\r\nbody\r\n");
  EXPECT_TRUE(main.also(0).header_prefix().starts_with("X-Checked: yes\r\nReceived: "));
  EXPECT_EQ(main.also(1).recipients(0).address(), "s@elsewhere.test");
  EXPECT_EQ(main.also(1).reverse_path(), "");
  EXPECT_EQ(main.also(1).sender_account_id(), 7);
  EXPECT_EQ(main.also(1).header_prefix(), "");
  EXPECT_NE(main.also(1).delivery_id(), main.delivery_id());
  EXPECT_EQ(edge.queue.released, std::vector<std::string>{main.delivery_id()});
}

TEST(Acceptance, AliasesGoOnAsTheFilterWants) {
  Edge edge;
  edge.filter.answer = [](const filter::v1::CheckMessageRequest& request, filter::v1::CheckMessageResponse& out) {
    for (const auto& recipient : request.recipients()) {
      auto& verdict = *out.add_recipients();
      if (recipient.account_id() != 0) continue;
      auto& redirect = *verdict.add_actions()->mutable_redirect();
      redirect.set_address(recipient.recipient());
      redirect.set_reverse_path("srs@example.test");
      auto& trace = *redirect.add_edits();
      trace.set_kind(filter::v1::HeaderEdit::KIND_PREPEND);
      trace.set_name("Delivered-To");
      trace.set_value(recipient.alias());
    }
  };
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"away@example.test", "team@example.test"}, kMessage).substr(0, 3), "250");
  std::vector<std::string> aliases;
  for (const auto& recipient : edge.filter.last.recipients())
    aliases.push_back(recipient.recipient() + " " + recipient.alias());
  EXPECT_EQ(aliases, (std::vector<std::string>{"one@elsewhere.test away@example.test",
                                               "two@elsewhere.test away@example.test", "team@example.test ",
                                               "team@example.test ", "friend@elsewhere.test team@example.test"}));
  ASSERT_EQ(edge.queue.items.size(), 1U);
  const auto& away = edge.queue.items[0];
  EXPECT_EQ(away.reverse_path(), "srs@example.test");
  EXPECT_EQ(away.sender_account_id(), 0);
  ASSERT_EQ(away.recipients_size(), 2) << "they differ in nothing else";
  EXPECT_EQ(away.recipients(1).address(), "two@elsewhere.test");
  EXPECT_TRUE(away.header_prefix().starts_with("Delivered-To: away@example.test\r\nReceived: "));
  EXPECT_EQ(away.body().inline_(), kMessage);
  ASSERT_EQ(away.also_size(), 1);
  EXPECT_TRUE(away.also(0).header_prefix().starts_with("Delivered-To: team@example.test\r\nReceived: "));
  EXPECT_EQ(edge.store.mails.size(), 2U);
  EXPECT_EQ(edge.store.mails[0].body, kMessage);

  // A circle ends without holding up who is here.
  edge.filter.answer = [](const filter::v1::CheckMessageRequest& request, filter::v1::CheckMessageResponse& out) {
    for (const auto& recipient : request.recipients())
      out.add_recipients()->set_decision(recipient.account_id() != 0 ? filter::v1::DECISION_ACCEPT
                                                                     : filter::v1::DECISION_DISCARD);
  };
  EXPECT_EQ(client.mail("s@elsewhere.test", {"team@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_EQ(edge.queue.items.size(), 1U);
  EXPECT_EQ(edge.store.mails.size(), 4U);
}

TEST(Acceptance, ScriptsThatKeepNothing) {
  Edge edge;
  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    auto& redirect = *out.add_recipients()->add_actions()->mutable_redirect();
    redirect.set_address("one@elsewhere.test");
    redirect.set_reverse_path("srs@example.test");
    out.add_recipients()->set_decision(filter::v1::DECISION_DISCARD);
  };
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_TRUE(edge.store.mails.empty());
  ASSERT_EQ(edge.queue.items.size(), 1U);
  EXPECT_FALSE(edge.queue.items[0].held()) << "the enqueue decides";
  EXPECT_EQ(edge.queue.items[0].reverse_path(), "srs@example.test");

  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    out.set_decision(filter::v1::DECISION_DISCARD);
  };
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_TRUE(edge.store.mails.empty());
}

TEST(Acceptance, TheFilterHearsWhatBecameOfTheMessageWhenItWants) {
  Edge edge;
  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) { out.set_settle(true); };
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
  ASSERT_EQ(edge.filter.settled.size(), 1U);
  EXPECT_EQ(edge.filter.settled[0].delivery_id(), edge.filter.last.transaction().delivery_id());
  EXPECT_TRUE(edge.filter.settled[0].taken());
  edge.store.over_quota = {7};
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "452");
  ASSERT_EQ(edge.filter.settled.size(), 2U);
  EXPECT_FALSE(edge.filter.settled[1].taken());
  edge.store.over_quota.clear();
  edge.filter.settle_fails = Error(ErrorCode::kUnavailable, "down");
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250")
      << "the message was taken";
  edge.filter.answer = nullptr;
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_EQ(edge.filter.settled.size(), 3U);
}

TEST(Acceptance, MoreThanOneCallToTheQueueCarries) {
  Edge edge;
  const auto send_many = [](filter::v1::CheckMessageResponse& out, bool keep) {
    auto& alice = *out.add_recipients();
    if (keep) alice.add_actions()->mutable_file_into();
    for (int i = 0; i < 70; ++i) {
      auto& notice = *alice.add_actions()->mutable_send();
      notice.add_recipients("s" + std::to_string(i) + "@elsewhere.test");
      notice.set_message("Subject: away\r\n\r\n");
    }
  };
  for (const bool keep : {true, false}) {
    edge.queue.items.clear();
    edge.queue.released.clear();
    edge.filter.answer = [&](const auto&, filter::v1::CheckMessageResponse& out) { send_many(out, keep); };
    Client client(edge.port(0));
    EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
    ASSERT_EQ(edge.queue.items.size(), 3U);
    const auto& first = edge.queue.items[0];
    EXPECT_EQ(first.decided_by(), "");
    EXPECT_EQ(first.also_size(), 31);
    int messages = 0;
    for (const auto& call : edge.queue.items) {
      EXPECT_TRUE(call.held()) << "all or none, also when nothing is delivered here";
      EXPECT_EQ(call.deciding_account_id(), 7);
      if (&call != &first) EXPECT_EQ(call.decided_by(), first.delivery_id());
      messages += 1 + call.also_size();
    }
    EXPECT_EQ(messages, 70);
    EXPECT_EQ(edge.queue.released, std::vector<std::string>{first.delivery_id()});
  }
}

TEST(Acceptance, WhatIsSaidOfARecipientStandsAboveWhatIsSaidOfTheMessage) {
  for (const bool junk : {false, true}) {
    Edge edge;
    edge.filter.answer = [junk](const auto&, filter::v1::CheckMessageResponse& out) {
      const auto decision = [](bool yes) { return yes ? filter::v1::DECISION_JUNK : filter::v1::DECISION_ACCEPT; };
      out.set_decision(decision(junk));
      out.add_recipients()->set_decision(decision(!junk));
      out.add_recipients();  // of this one nothing is said
    };
    Client client(edge.port(0));
    EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, kMessage).substr(0, 3),
              "250");
    ASSERT_EQ(edge.store.mails.size(), 2U);
    EXPECT_EQ(edge.store.mails[0].junk, !junk);
    EXPECT_EQ(edge.store.mails[1].junk, junk);
  }
}

TEST(Acceptance, WhatAScriptComposedForAMailboxIsNoFormOfTheMessage) {
  Edge edge;
  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    auto& alice = *out.add_recipients();
    alice.set_decision(filter::v1::DECISION_JUNK);
    auto& copy = *alice.add_actions()->mutable_file_into();
    copy.mutable_body()->set_inline_("Subject: away\r\n\r\n");
    copy.set_composed(true);
  };
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
  ASSERT_EQ(edge.store.mails.size(), 1U);
  EXPECT_EQ(edge.store.mails[0].prefix, "");
  EXPECT_EQ(edge.store.mails[0].body, "Subject: away\r\n\r\n");
  EXPECT_FALSE(edge.store.mails[0].junk);
}

TEST(Acceptance, TheFilterMayGiveANewBodyAndSender) {
  Edge edge;
  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    out.mutable_body()->set_inline_("Subject: new\r\n\r\nform\r\n");
    out.set_reverse_path("other@elsewhere.test");
    out.add_recipients();
    out.add_recipients()->mutable_body()->set_inline_("Subject: own\r\n\r\nform\r\n");
  };
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test", "bob@example.test"}, kMessage).substr(0, 3), "250");
  ASSERT_EQ(edge.store.mails.size(), 2U);
  EXPECT_EQ(edge.store.mails[0].body, "Subject: new\r\n\r\nform\r\n");
  EXPECT_EQ(edge.store.mails[1].body, "Subject: own\r\n\r\nform\r\n");
  EXPECT_TRUE(edge.store.mails[0].prefix.starts_with("Return-Path: <other@elsewhere.test>\r\n"));

  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    out.mutable_body()->set_inline_("Subject: new\r\n\r\n");
    out.add_edits()->set_kind(filter::v1::HeaderEdit::KIND_DELETE);
  };
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "451");
}

TEST(Acceptance, ARefusalOfARemoteRecipientIsToldTheSender) {
  Edge edge;
  edge.filter.answer = [](const auto&, filter::v1::CheckMessageResponse& out) {
    out.add_recipients();
    out.add_recipients()->set_decision(filter::v1::DECISION_REFUSE);
  };
  Client client(edge.port(1));
  client.say("EHLO client.test");
  client.say(login_line());
  EXPECT_EQ(client.mail("alice@example.test", {"bob@example.test", "friend@elsewhere.test"}, "Subject: x\r\n\r\n")
                .substr(0, 3),
            "550");
  EXPECT_TRUE(edge.store.mails.empty());
}

TEST(Acceptance, RemoteRecipientsWithTheSameFieldsInFrontLeaveTogether) {
  Edge edge;
  edge.filter.answer = [](const auto& request, filter::v1::CheckMessageResponse& out) {
    for (const auto& recipient : request.recipients()) {
      auto& verdict = *out.add_recipients();
      if (recipient.recipient().starts_with("plain")) continue;
      auto& edit = *verdict.add_edits();
      edit.set_kind(filter::v1::HeaderEdit::KIND_PREPEND);
      edit.set_name("ARC-Seal");
      edit.set_value(recipient.recipient().starts_with("other") ? "i=2" : "i=1");
    }
  };
  Client client(edge.port(1));
  client.say("EHLO client.test");
  client.say(login_line());
  EXPECT_EQ(client
                .mail("alice@example.test",
                      {"one@elsewhere.test", "plain@elsewhere.test", "two@elsewhere.test", "other@elsewhere.test"},
                      "From: alice@example.test\r\n\r\n")
                .substr(0, 3),
            "250");
  ASSERT_EQ(edge.queue.items.size(), 1U);
  const auto& first = edge.queue.items[0];
  ASSERT_EQ(first.recipients_size(), 2);
  EXPECT_EQ(first.recipients(1).address(), "two@elsewhere.test");
  EXPECT_TRUE(first.header_prefix().starts_with("ARC-Seal: i=1\r\nReceived: ")) << first.header_prefix();
  ASSERT_EQ(first.also_size(), 2);
  ASSERT_EQ(first.also(0).recipients_size(), 1);
  EXPECT_EQ(first.also(0).recipients(0).address(), "plain@elsewhere.test");
  EXPECT_TRUE(first.also(0).header_prefix().starts_with("Received: "));
  ASSERT_EQ(first.also(1).recipients_size(), 1);
  EXPECT_TRUE(first.also(1).header_prefix().starts_with("ARC-Seal: i=2\r\nReceived: "));
}

TEST(Acceptance, FilterDownIsTemporaryOrMarked) {
  {
    Edge edge;
    edge.filter.fail = down();
    Client client(edge.port(0));
    EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "451");
  }
  config::v1::Smtp config;
  config.set_filter_down(config::v1::FILTER_DOWN_ACCEPT);
  Edge edge(config);
  edge.filter.fail = down();
  Client client(edge.port(0));
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_NE(edge.store.only_mail().prefix.find("X-Merpati-Filter: unchecked\r\n"), std::string::npos);
}

TEST(Acceptance, FilterDownIsAListenersOwnChoice) {
  config::v1::Smtp config;
  config.set_filter_down(config::v1::FILTER_DOWN_ACCEPT);
  auto& strict = *config.add_listeners();
  strict.set_address("127.0.0.1");
  strict.set_kind(config::v1::LISTENER_KIND_MX);
  strict.set_filter_down(config::v1::FILTER_DOWN_TEMPFAIL);
  Edge edge(config);
  edge.filter.fail = down();
  Client refused(edge.port(0));
  EXPECT_EQ(refused.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "451");
  EXPECT_TRUE(edge.store.mails.empty());
  Client accepted(edge.port(1));
  EXPECT_EQ(accepted.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_NE(edge.store.only_mail().prefix.find("X-Merpati-Filter: unchecked\r\n"), std::string::npos);
}

TEST(Acceptance, SubmissionFillsInWhatIsMissingAndRelays) {
  Edge edge;
  Client client(edge.port(1));
  client.say("EHLO client.test");
  EXPECT_EQ(client.say(login_line()).substr(0, 3), "235");
  EXPECT_EQ(client.say("MAIL FROM:<bob@example.test>"), "550 5.7.1 That sender address is not yours");
  EXPECT_EQ(client.mail("alice@example.test", {"friend@elsewhere.test"}, "Subject: hi\r\n\r\nbody\r\n").substr(0, 3),
            "250");
  ASSERT_EQ(edge.queue.items.size(), 1U);
  const auto& item = edge.queue.items[0];
  EXPECT_FALSE(item.held()) << "without a local recipient the enqueue decides";
  EXPECT_EQ(item.sender_account_id(), 7);
  EXPECT_TRUE(item.body().inline_().starts_with("Date: ")) << item.body().inline_();
  EXPECT_NE(item.body().inline_().find("Message-ID: <" + item.delivery_id() +
                                       "@mx.example.test>\r\nSubject: hi\r\n\r\nbody\r\n"),
            std::string::npos);
  EXPECT_NE(item.header_prefix().find("with ESMTPA\r\n"), std::string::npos);
  const std::string complete = "date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-Id : <a@b>\r\n\r\nx\r\n";
  EXPECT_EQ(client.mail("alice@example.test", {"friend@elsewhere.test"}, complete).substr(0, 3), "250");
  EXPECT_EQ(edge.queue.items[1].body().inline_(), complete);
}

// RFC 6409 6.1: what readers see as the author is an address of the account, too.
TEST(Acceptance, SubmittedMailNamesItsOwnAuthors) {
  const auto answer = [](Client& client, const std::string& header) {
    return client.mail("alice@example.test", {"friend@elsewhere.test"}, header + "\r\nx\r\n");
  };
  {
    Edge edge;
    Client client(edge.port(1));
    client.say("EHLO client.test");
    client.say(login_line());
    EXPECT_EQ(answer(client, "From: \"Boss\" <bob@example.test>\r\n"),
              "550 5.7.1 The address in the From field is not yours");
    EXPECT_EQ(answer(client, "FROM : Alice <alice@example.test>,\r\n bob@example.test\r\n"),
              "550 5.7.1 The address in the From field is not yours");
    EXPECT_EQ(answer(client, "From: alice@example.test\r\nSender: bob@example.test\r\n"),
              "550 5.7.1 The address in the Sender field is not yours");
    EXPECT_EQ(answer(client, "From: nobody:;\r\n"), "550 5.7.1 The From field names no address");
    EXPECT_EQ(answer(client, "From: Alice <alice@example.test>\r\nSender: alice@example.test\r\n").substr(0, 3), "250");
    EXPECT_EQ(edge.queue.items.size(), 1U);
  }
  Edge edge({}, false);
  Client client(edge.port(1));
  client.say("EHLO client.test");
  client.say(login_line());
  EXPECT_EQ(answer(client, "From: bob@example.test\r\n").substr(0, 3), "250");
}

TEST(Acceptance, RecipientsAreAskedForOnce) {
  Edge edge;
  Client client(edge.port(0));
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage).substr(0, 3), "250");
  EXPECT_EQ(edge.auth.resolved, 1);
}

}  // namespace
}  // namespace merpati::smtp::testing
