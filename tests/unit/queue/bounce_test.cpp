#include "queue/bounce.hpp"

#include <gtest/gtest.h>

#include "merpati/mime/summary.hpp"

namespace merpati::queue {
namespace {

Message message_of(std::string_view original) {
  Message out;
  out.reverse_path = "alice@example.test";
  out.size = original.size();
  out.received_at = WallTime(std::chrono::seconds(1795425996));
  return out;
}

TEST(Bounce, IsAReportOfThreeParts) {
  const std::string original = "From: a@b\r\nSubject: lost\r\n\r\nbody\r\n";
  auto message = message_of(original);
  message.envelope_id = "QQ+1";
  const auto bounce = compose_bounce(
      message,
      {{"x@y.test", "rfc822;X@y.test", Outcome::failed("5.1.1", "550 5.1.1 no\r\nEvil: header", "mx.y.test")},
       {"z@w.test", "", Outcome::failed("5.1.2", "The domain does not exist")}},
      original, "mx.example.test", message.received_at);
  const auto summary = mime::summarize(bounce.octets);
  EXPECT_EQ(summary.root.subtype, "report");
  EXPECT_EQ(mime::find_parameter(summary.root.parameters, "report-type"), "delivery-status");
  ASSERT_EQ(summary.root.children.size(), 3u);
  EXPECT_EQ(summary.root.children[1].body.of(bounce.octets),
            "Reporting-MTA: dns; mx.example.test\r\n"
            "Original-Envelope-Id: QQ+2B1\r\n"
            "Arrival-Date: Mon, 23 Nov 2026 09:26:36 +0000\r\n"
            "\r\n"
            "Original-Recipient: rfc822; X@y.test\r\n"
            "Final-Recipient: rfc822; x@y.test\r\n"
            "Action: failed\r\n"
            "Status: 5.1.1\r\n"
            "Remote-MTA: dns; mx.y.test\r\n"
            "Diagnostic-Code: smtp; 550 5.1.1 no  Evil: header\r\n"
            "\r\n"
            "Final-Recipient: rfc822; z@w.test\r\n"
            "Action: failed\r\n"
            "Status: 5.1.2\r\n");
  ASSERT_TRUE(summary.root.children[2].is_message());
  EXPECT_EQ(summary.root.children[2].body.of(bounce.octets), original);
  EXPECT_EQ(summary.root.disposition.has_value(), false);
}

TEST(Bounce, ReturnsTheHeaderOfLargeMailAndWhereTheSenderAskedForIt) {
  std::string original = "Subject: big\r\n\r\n";
  original.append(100'000, 'x');
  auto message = message_of(original);
  const std::vector<FailedRecipient> failed = {{"x@y.test", "", Outcome::failed("5.1.1", "no")}};
  auto bounce =
      compose_bounce(message, failed, std::string_view(original).substr(0, 64 * 1024), "h", message.received_at);
  EXPECT_LT(bounce.octets.size(), 3000u);
  EXPECT_NE(bounce.octets.find("text/rfc822-headers\r\n\r\nSubject: big\r\n"), std::string::npos);
  message = message_of("Subject: s\r\n\r\nsecret body");
  message.headers_only = true;
  bounce = compose_bounce(message, failed, "Subject: s\r\n\r\nsecret body", "h", message.received_at);
  EXPECT_EQ(bounce.octets.find("secret"), std::string::npos);
}

TEST(Bounce, InternationalAddressesNeedSmtpUtf8) {
  auto message = message_of("Subject: s\r\n\r\n");
  const auto bounce = compose_bounce(message, {{"\xC3\xBC@y.test", "", Outcome::failed("5.6.7", "no")}},
                                     "Subject: s\r\n\r\n", "h", message.received_at);
  EXPECT_TRUE(bounce.smtputf8);
  EXPECT_NE(bounce.octets.find("Final-Recipient: utf-8; \xC3\xBC@y.test"), std::string::npos);
}

TEST(Bounce, NotifyDecides) {
  EXPECT_TRUE(wants_failure_notice(""));
  EXPECT_TRUE(wants_failure_notice("SUCCESS,FAILURE"));
  EXPECT_FALSE(wants_failure_notice("NEVER"));
  EXPECT_FALSE(wants_failure_notice("SUCCESS"));
}

}  // namespace
}  // namespace merpati::queue
