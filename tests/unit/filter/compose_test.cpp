#include "filter/compose.hpp"

#include <gmock/gmock.h>

#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::filter {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kHeader =
    "From: Bob <bob@remote.test>\r\nTo: alice@example.test\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
    "Message-ID: <m1@remote.test>\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\n";
const std::string kMessage = kHeader + "Hello\r\n";

Occasion occasion() {
  return {"mx.example.test", "alice@example.test", "bob@remote.test", kHeader, kMessage, 1796040000};
}

std::string header_of(const std::string& message) { return message.substr(0, mime::header_block_size(message)); }

std::string value_of(const std::string& message, std::string_view name) {
  const std::string header = header_of(message);
  const auto field = mime::find_field(header, name);
  return field ? mime::decode_encoded_words(mime::unfold(field->value)) : "(none)";
}

sieve::Vacation vacation() {
  sieve::Vacation reply;
  reply.to = "bob@remote.test";
  reply.subject =
      "Auto: Gr\xC3\xBC\xC3\x9F"
      "e";
  reply.reason = "Away until Monday.\nAlice";
  reply.in_reply_to = "<m1@remote.test>";
  reply.references = "<m0@remote.test> <m1@remote.test>";
  return reply;
}

TEST(ComposeVacation, SaysWhatItIs) {
  const auto message = compose_vacation(vacation(), occasion());
  EXPECT_EQ(value_of(message, "From"), "<alice@example.test>");
  EXPECT_EQ(value_of(message, "To"), "<bob@remote.test>");
  EXPECT_EQ(value_of(message, "Subject"), vacation().subject);
  EXPECT_EQ(value_of(message, "In-Reply-To"), "<m1@remote.test>");
  EXPECT_EQ(value_of(message, "References"), "<m0@remote.test> <m1@remote.test>");
  EXPECT_EQ(value_of(message, "Auto-Submitted"), "auto-replied (vacation)");
  EXPECT_EQ(value_of(message, "Date"), "Mon, 30 Nov 2026 12:00:00 +0000");
  EXPECT_THAT(message, testing::EndsWith("\r\n\r\nAway until Monday.\r\nAlice\r\n"));
}

TEST(ComposeVacation, TextThatIsNotAsciiTravelsAsQuotedPrintable) {
  auto reply = vacation();
  reply.reason = "\xC3\x84\r\n" + std::string(2000, 'x');
  const auto message = compose_vacation(reply, occasion());
  for (char c : message) ASSERT_LT(static_cast<unsigned char>(c), 0x80);
  const auto body = message.substr(header_of(message).size());
  EXPECT_EQ(mime::decode_transfer(mime::Encoding::kQuotedPrintable, body), reply.reason + "\r\n");
  for (std::size_t at = 0; at < message.size();) {
    const auto end = std::min(message.find("\r\n", at), message.size());
    EXPECT_LE(end - at, 998u);
    at = end + 2;
  }
}

TEST(ComposeVacation, FromIsAsTheScriptSaysIt) {
  auto reply = vacation();
  reply.from = "\"Alice \\\"A\\\" Smith\" <alice+away@example.test>";
  EXPECT_EQ(value_of(compose_vacation(reply, occasion()), "From"),
            "\"Alice \\\"A\\\" Smith\" <alice+away@example.test>");
  reply.from = "Zo\xC3\xAB <zoe@example.test>";
  const auto message = compose_vacation(reply, occasion());
  EXPECT_THAT(header_of(message), HasSubstr("From: =?utf-8?B?"));
  EXPECT_EQ(value_of(message, "From"), "Zo\xC3\xAB <zoe@example.test>");
}

TEST(ComposeVacation, AnEntityBringsContentFieldsOnly) {
  auto reply = vacation();
  reply.mime = true;
  reply.reason = "Content-Type: text/html\nBcc: victim@remote.test\nSubject: other\n\n<p>Away</p>";
  const auto message = compose_vacation(reply, occasion());
  EXPECT_EQ(value_of(message, "Content-Type"), "text/html");
  EXPECT_EQ(value_of(message, "Bcc"), "(none)");
  EXPECT_EQ(mime::count_fields(header_of(message), "Subject"), 1u);
  EXPECT_THAT(message, testing::EndsWith("\r\n\r\n<p>Away</p>\r\n"));
}

// What a variable brought from the message must not end a header field.
TEST(Compose, NothingOfOthersMakesAField) {
  const std::string evil = "x\r\nBcc: victim@remote.test\r\n\r\nbody";
  auto reply = vacation();
  reply.subject = evil;
  reply.from = "\"" + evil + "\" <alice@example.test>";
  reply.in_reply_to = "<m1@remote.test>\r\nBcc: victim@remote.test";
  sieve::Notify note;
  note.recipients = {"pager@remote.test"};
  note.message = evil;
  note.headers = {{"X-Note", evil}};
  sieve::Report report{"abuse", evil, "abuse@remote.test", true};
  const std::string header = "Subject: x\r\n\r\n";
  auto where = occasion();
  where.header = header;
  for (const auto& message :
       {compose_vacation(reply, where), compose_notification(note, where), compose_report(report, where),
        compose_refusal({evil, false}, where), compose_error_notice({{1, 1}, evil, evil, false}, where)}) {
    EXPECT_EQ(value_of(message, "Bcc"), "(none)") << message;
    EXPECT_NE(value_of(message, "Message-ID"), "(none)") << "the header goes on to its end";
  }
}

TEST(ComposeRefusal, IsAnMdnOrADsn) {
  auto message = compose_refusal({"I do not want this.", false}, occasion());
  EXPECT_THAT(value_of(message, "Content-Type"), StartsWith("multipart/report; report-type=disposition-notification"));
  EXPECT_EQ(value_of(message, "Auto-Submitted"), "auto-replied (rejected)");
  EXPECT_THAT(message, HasSubstr("Disposition: automatic-action/MDN-sent-automatically; deleted\r\n"));
  EXPECT_THAT(message, HasSubstr("Final-Recipient: rfc822; alice@example.test\r\n"));
  EXPECT_THAT(message, HasSubstr("Original-Message-ID: <m1@remote.test>\r\n"));
  EXPECT_THAT(message, HasSubstr("I do not want this.\r\n"));
  auto summary = mime::summarize(message);
  EXPECT_EQ(summary.root.children.size(), 3u);
  message = compose_refusal({"No.", true}, occasion());
  EXPECT_THAT(message, HasSubstr("report-type=delivery-status"));
  EXPECT_THAT(message, HasSubstr("Action: failed\r\nStatus: 5.7.1\r\n"));
  EXPECT_EQ(mime::summarize(message).root.children.size(), 3u);
}

TEST(ComposeNotification, OfRfc5436) {
  sieve::Notify note;
  note.recipients = {"pager@remote.test", "second@remote.test"};
  note.headers = {{"body", "Look!"}, {"X-Kind", "mail"}, {"From", "evil@remote.test"}, {"Received", "x"}};
  note.importance = "1";
  const auto message = compose_notification(note, occasion());
  EXPECT_EQ(value_of(message, "To"), "<pager@remote.test>, <second@remote.test>");
  EXPECT_EQ(value_of(message, "Subject"),
            "Gr\xC3\xBC\xC3\x9F"
            "e")
      << "the message's own";
  EXPECT_EQ(value_of(message, "Auto-Submitted"), "auto-notified; owner-email=\"alice@example.test\"");
  EXPECT_EQ(value_of(message, "X-Kind"), "mail");
  EXPECT_EQ(value_of(message, "From"), "<alice@example.test>");
  EXPECT_EQ(value_of(message, "Received"), "(none)");
  EXPECT_EQ(value_of(message, "Importance"), "high");
  EXPECT_THAT(message, testing::EndsWith("\r\n\r\nLook!\r\n"));
}

TEST(ComposeReport, BringsTheMessageOrItsHeader) {
  auto message = compose_report({"abuse", "This is spam.", "abuse@remote.test", false}, occasion());
  EXPECT_THAT(message, HasSubstr("Feedback-Type: abuse\r\n"));
  EXPECT_THAT(message, HasSubstr("message/rfc822\r\n\r\nFrom: Bob"));
  EXPECT_THAT(message, HasSubstr("Hello\r\n"));
  message = compose_report({"abuse", "This is spam.", "abuse@remote.test", true}, occasion());
  EXPECT_THAT(message, HasSubstr("text/rfc822-headers"));
  EXPECT_THAT(message, Not(HasSubstr("Hello")));
}

TEST(RefusalText, IsOneLineOfAscii) {
  EXPECT_EQ(refusal_text("No\r\n  more\tof this, \xC3\xA4"), "No more of this, ?");
  EXPECT_EQ(refusal_text("\r\n"), "Refused by the recipient's mail filter");
  EXPECT_EQ(refusal_text(std::string(5000, 'x')).size(), 400u);
}

}  // namespace
}  // namespace merpati::filter
