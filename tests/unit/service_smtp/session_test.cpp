// A session's rules that no dialog can show: they need settings of their own, or a server that ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "client.hpp"
#include "fakes.hpp"

namespace merpati::smtp::testing {
namespace {

using ::testing::StartsWith;

const std::string kMessage = "From: s@elsewhere.test\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nhello\r\n";

// RFC 5321 4.5.1
TEST(SmtpSession, EveryDomainHasAPostmaster) {
  config::v1::Smtp config;
  config.set_postmaster("bob@example.test");
  Edge edge(config);
  Client client(edge.port(0));
  for (const auto* address : {"PostMaster", "postmaster@mx.example.test", "POSTMASTER@example.test"})
    EXPECT_THAT(client.mail("", {address}, kMessage), StartsWith("250 2.0.0 Ok")) << address;
  ASSERT_EQ(edge.store.mails.size(), 3U);
  for (const auto& mail : edge.store.mails) {
    EXPECT_EQ(mail.account, 8);
    EXPECT_NE(mail.prefix.find("Delivered-To: bob@example.test\r\n"), std::string::npos) << mail.prefix;
  }
  client.say("MAIL FROM:<>");
  EXPECT_EQ(client.say("RCPT TO:<postmaster@elsewhere.test>"), "550 5.7.1 Relaying denied");
  EXPECT_EQ(client.say("RCPT TO:<abuse@example.test>"), "550 5.1.1 No such address");
}

TEST(SmtpSession, WithoutOneConfiguredThePostmasterIsRefused) {
  Edge edge;
  Client client(edge.port(0));
  client.say("EHLO client.test");
  client.say("MAIL FROM:<>");
  EXPECT_THAT(client.say("RCPT TO:<postmaster@example.test>"), StartsWith("550 5.1.1"));
  EXPECT_THAT(client.say("RCPT TO:<postmaster>"), StartsWith("550"));
}

TEST(SmtpSession, ADrainSays421AtACommandBoundary) {
  auto edge = std::make_unique<Edge>();
  Client idle(edge->port(0)), busy(edge->port(0));
  idle.say("EHLO client.test");
  busy.say("EHLO client.test");
  busy.say("MAIL FROM:<s@elsewhere.test>");
  std::thread stop([&] { edge->stop(); });
  EXPECT_EQ(idle.hear(), "421 4.3.2 mx.example.test Shutting down, try again");
  EXPECT_EQ(idle.hear(), "");
  // What is in hand is finished first.
  EXPECT_EQ(busy.say("RCPT TO:<alice@example.test>"), "250 2.1.5 Ok");
  EXPECT_THAT(busy.say("DATA"), StartsWith("354"));
  busy.send(kMessage + ".\r\n");
  EXPECT_THAT(busy.hear(), StartsWith("250 2.0.0 Ok"));
  EXPECT_EQ(busy.hear(), "421 4.3.2 mx.example.test Shutting down, try again");
  EXPECT_EQ(busy.hear(), "");
  stop.join();
  EXPECT_EQ(edge->store.mails.size(), 1U);
}

TEST(SmtpSession, WhoSaysNothingHears421) {
  config::v1::Smtp config;
  config.mutable_command_timeout()->set_nanos(200'000'000);
  config.mutable_data_timeout()->set_nanos(200'000'000);
  Edge edge(config);
  Client silent(edge.port(0));
  EXPECT_EQ(silent.hear(), "421 4.4.2 mx.example.test Timeout, closing");
  EXPECT_EQ(silent.hear(), "");
  Client slow(edge.port(0));
  slow.say("EHLO client.test");
  slow.say("MAIL FROM:<s@elsewhere.test>");
  slow.say("RCPT TO:<alice@example.test>");
  slow.say("DATA");
  slow.send("From: s@elsewhere.test\r\n");
  EXPECT_EQ(slow.hear(), "421 4.4.2 mx.example.test Timeout, closing");
  EXPECT_TRUE(edge.store.mails.empty());
}

// RFC 1870: what is too large is refused where it is noticed, and the session stays in step.
TEST(SmtpSession, TooLargeWhateverWasDeclared) {
  config::v1::Smtp config;
  config.set_max_message_size(1000);
  Edge edge(config);
  Client client(edge.port(0));
  const std::string large = kMessage + std::string(1000, 'x') + "\r\n";
  EXPECT_EQ(client.mail("s@elsewhere.test", {"alice@example.test"}, large), "552 5.3.4 Message too large");
  EXPECT_EQ(client.say("MAIL FROM:<s@elsewhere.test> SIZE=1001"), "552 5.3.4 Message too large");
  const auto begin = [&] {
    EXPECT_EQ(client.say("MAIL FROM:<s@elsewhere.test> SIZE=10"), "250 2.1.0 Ok");
    EXPECT_EQ(client.say("RCPT TO:<alice@example.test>"), "250 2.1.5 Ok");
  };
  begin();
  const auto chunk = [&](const std::string& octets, const std::string& last) {
    client.send("BDAT " + std::to_string(octets.size()) + last + "\r\n" + octets);
    return client.hear();
  };
  EXPECT_THAT(chunk(kMessage, ""), StartsWith("250 2.0.0"));
  EXPECT_EQ(chunk(std::string(1000, '\n'), ""), "552 5.3.4 Message too large");
  EXPECT_EQ(chunk("NOOP\r\n", " LAST"), "503 5.5.1 Say MAIL first");  // pipelined behind it (RFC 3030 2)
  begin();
  EXPECT_THAT(chunk(kMessage, " LAST"), StartsWith("250 2.0.0 Ok"));
  EXPECT_EQ(edge.store.only_mail().body, kMessage);
}

TEST(SmtpSession, AsManyRecipientsAndMessagesAsLimitsTell) {
  config::v1::Smtp config;
  config.set_max_recipients(3);
  config.set_max_transactions(2);
  Edge edge(config);
  Client client(edge.port(0));
  EXPECT_EQ(client.say("EHLO client.test"), "250 LIMITS RCPTMAX=3 MAILMAX=2");
  client.say("MAIL FROM:<s@elsewhere.test>");
  for (const auto* address : {"alice@example.test", "alice+a@example.test", "bob@example.test"})
    EXPECT_EQ(client.say("RCPT TO:<" + std::string(address) + ">"), "250 2.1.5 Ok");
  EXPECT_EQ(client.say("RCPT TO:<far@example.test>"), "452 4.5.3 Too many recipients");
  client.say("RSET");
  EXPECT_THAT(client.say("MAIL FROM:<s@elsewhere.test>"), StartsWith("250"));
  client.say("RSET");
  EXPECT_THAT(client.say("MAIL FROM:<s@elsewhere.test>"), StartsWith("421 4.7.0 mx.example.test"));
}

TEST(SmtpSession, ErrorsCountFromTheLastMessageOn) {
  config::v1::Smtp config;
  config.set_max_errors(3);
  Edge edge(config);
  Client client(edge.port(0));
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < 3; ++k) EXPECT_THAT(client.say("XYZZY"), StartsWith("500"));
    EXPECT_THAT(client.mail("s@elsewhere.test", {"alice@example.test"}, kMessage), StartsWith("250"));
  }
  for (int k = 0; k < 3; ++k) EXPECT_THAT(client.say("XYZZY"), StartsWith("500"));
  EXPECT_THAT(client.say("XYZZY"), StartsWith("500"));
  EXPECT_THAT(client.hear(), StartsWith("421 4.7.0 mx.example.test Too many errors"));
}

TEST(SmtpSession, SessionsOfOneAccountAreCounted) {
  config::v1::Smtp config;
  config.set_max_connections_per_account(1);
  Edge edge(config);
  const auto login = "AUTH PLAIN " + to_base64(std::string_view("\0alice@example.test\0secret", 26));
  Client second(edge.port(1));
  second.say("EHLO client.test");
  {
    Client first(edge.port(1));
    first.say("EHLO client.test");
    EXPECT_THAT(first.say(login), StartsWith("235"));
    EXPECT_EQ(second.say(login), "454 4.7.0 Too many connections of this account");
    first.say("QUIT");
    EXPECT_EQ(first.hear(), "");
  }
  EXPECT_THAT(second.say(login), StartsWith("235"));
}

// RFC 3848, RFC 6531 3.7.3; one Return-Path at the top, one Delivered-To for each recipient (RFC 5321 4.4).
TEST(SmtpSession, TraceFieldsTellHowItCame) {
  Edge edge;
  Client client(edge.port(0));
  client.say("HELO old.test");
  client.say("MAIL FROM:<s@elsewhere.test>");
  client.say("RCPT TO:<alice@example.test>");
  client.say("RCPT TO:<bob@example.test>");
  client.say("DATA");
  client.send(kMessage + ".\r\n");
  EXPECT_THAT(client.hear(), StartsWith("250"));
  ASSERT_EQ(edge.store.mails.size(), 2U);
  const auto& first = edge.store.mails[0].prefix;
  EXPECT_THAT(first,
              StartsWith("Return-Path: <s@elsewhere.test>\r\nDelivered-To: alice@example.test\r\n"
                         "Received: from old.test ([127.0.0.1])\r\n\tby mx.example.test (Merpati) with SMTP\r\n"));
  EXPECT_EQ(first.find("Return-Path", 1), std::string::npos);
  EXPECT_EQ(first.find("bob"), std::string::npos) << "nobody learns of another recipient";
  EXPECT_NE(edge.store.mails[1].prefix.find("Delivered-To: bob@example.test\r\n"), std::string::npos);
  client.say("EHLO client.test");
  client.say("MAIL FROM:<s@elsewhere.test> SMTPUTF8");
  client.say("RCPT TO:<p\xc3\xa4ul@example.test>");
  client.say("DATA");
  client.send(kMessage + ".\r\n");
  EXPECT_THAT(client.hear(), StartsWith("250"));
  EXPECT_NE(edge.store.mails[2].prefix.find("with UTF8SMTP\r\n"), std::string::npos);
  EXPECT_NE(edge.store.mails[2].prefix.find("for <p\xc3\xa4ul@example.test>;"), std::string::npos);
}

}  // namespace
}  // namespace merpati::smtp::testing
