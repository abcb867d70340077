#include "merpati/smtp/command.hpp"

#include <gtest/gtest.h>

namespace merpati::smtp {
namespace {

const Offered kAll{.max_size = 1000, .smtputf8 = true, .binarymime = true, .dsn = true, .auth = true};
const Offered kPlain{.max_size = 0, .smtputf8 = false, .binarymime = false, .dsn = false, .auth = false};

int code_of(const auto& parsed) { return parsed ? 250 : parsed.error().code; }

TEST(Command, VerbsInAnyCase) {
  EXPECT_EQ(split_command("mail From:<a@b.test> ").verb, Verb::kMail);
  EXPECT_EQ(split_command("mail From:<a@b.test> ").argument, "From:<a@b.test>");
  EXPECT_EQ(split_command("STARTTLS").verb, Verb::kStartTls);
  EXPECT_EQ(split_command("DATAX").verb, Verb::kUnknown);
  EXPECT_EQ(split_command("").verb, Verb::kUnknown);
}

TEST(Command, MailWithEveryParameter) {
  const auto mail =
      parse_mail("FROM:<alice@example.test> SIZE=1000 body=8bitmime SMTPUTF8 AUTH=a+40b RET=HDRS ENVID=x+20y", kAll);
  ASSERT_TRUE(mail) << mail.error().text;
  EXPECT_EQ(mail->reverse_path->str(), "alice@example.test");
  EXPECT_EQ(mail->size, 1000U);
  EXPECT_EQ(mail->body, BodyType::k8BitMime);
  EXPECT_TRUE(mail->smtputf8);
  EXPECT_EQ(mail->auth, "a@b");
  EXPECT_TRUE(mail->return_headers_only);
  EXPECT_EQ(mail->envelope_id, "x y");
}

TEST(Command, MailRefusals) {
  EXPECT_EQ(code_of(parse_mail("FROM:<>", kPlain)), 250);
  EXPECT_EQ(code_of(parse_mail("FROM: <a@b.test>", kPlain)), 250);
  EXPECT_EQ(code_of(parse_mail("FROM:a@b.test", kPlain)), 501);
  EXPECT_EQ(code_of(parse_mail("TO:<a@b.test>", kPlain)), 501);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test>SIZE=1", kPlain)), 501);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test> SIZE=1001", kAll)), 552);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test> SIZE=99999999999999999999", kAll)), 552);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test> SIZE=000000000000000000001", kAll)), 501);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test> SIZE=-1", kAll)), 501);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test> SIZE=1 SIZE=2", kAll)), 501);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test> BODY=BINARYMIME", kPlain)), 501);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test> RET=FULL", kPlain)), 555);
  EXPECT_EQ(code_of(parse_mail("FROM:<a@b.test> XYZZY", kAll)), 555);
  EXPECT_EQ(code_of(parse_mail("FROM:<p\xc3\xa4ul@b.test>", kAll)), 553);
  EXPECT_EQ(code_of(parse_mail("FROM:<p\xc3\xa4ul@b.test> SMTPUTF8", kAll)), 250);
  EXPECT_EQ(code_of(parse_mail("FROM:<p\xc3\xa4ul@b.test> SMTPUTF8", kPlain)), 555);
}

TEST(Command, Rcpt) {
  const auto rcpt = parse_rcpt("TO:<bob@example.test> NOTIFY=success,DELAY ORCPT=rfc822;bob+40x.test", kAll, Utf8::kNo);
  ASSERT_TRUE(rcpt);
  EXPECT_EQ(rcpt->notify, "SUCCESS,DELAY");
  EXPECT_EQ(rcpt->original_recipient, "rfc822;bob+40x.test");
  EXPECT_EQ(code_of(parse_rcpt("TO:<>", kAll, Utf8::kNo)), 501);
  EXPECT_EQ(code_of(parse_rcpt("TO:<bob@example.test> NOTIFY=NEVER,DELAY", kAll, Utf8::kNo)), 501);
  EXPECT_EQ(code_of(parse_rcpt("TO:<bob@example.test> NOTIFY=NEVER", kPlain, Utf8::kNo)), 555);
  EXPECT_EQ(code_of(parse_rcpt("TO:<p\xc3\xa4ul@b.test>", kAll, Utf8::kNo)), 553);
  EXPECT_EQ(code_of(parse_rcpt("TO:<p\xc3\xa4ul@b.test>", kAll, Utf8::kYes)), 250);
  EXPECT_EQ(code_of(parse_rcpt("TO:<Postmaster>", kAll, Utf8::kNo)), 250);
}

TEST(Command, BdatAuthHello) {
  EXPECT_TRUE(parse_bdat("0 LAST")->last);
  EXPECT_EQ(parse_bdat("86 last")->size, 86U);
  for (const auto* bad : {"", "x", "-1", "1 FIRST", "99999999999999999999999", "1LAST"})
    EXPECT_EQ(code_of(parse_bdat(bad)), 501) << bad;
  EXPECT_EQ(parse_auth("plain AGEAYg==")->initial_response, std::string("\0a\0b", 4));
  EXPECT_EQ(parse_auth("plain AGEAYg==")->mechanism, "PLAIN");
  EXPECT_EQ(parse_auth("PLAIN =")->initial_response, "");
  EXPECT_FALSE(parse_auth("SCRAM-SHA-256")->initial_response);
  EXPECT_EQ(code_of(parse_auth("PLAIN !!!")), 501);
  EXPECT_EQ(code_of(parse_auth("")), 501);
  EXPECT_EQ(*parse_hello("[192.0.2.1]"), "[192.0.2.1]");
  EXPECT_EQ(code_of(parse_hello("")), 501);
  EXPECT_EQ(code_of(parse_hello("a(b)")), 501) << "it would end up in a Received comment";
}

TEST(Reply, TableSaysTemporaryOrPermanent) {
  const auto code = [](ErrorCode error) { return reply_for(Error(error, "internal text")).code; };
  EXPECT_EQ(code(ErrorCode::kUnavailable), 451);
  EXPECT_EQ(code(ErrorCode::kDeadlineExceeded), 451);
  EXPECT_EQ(code(ErrorCode::kInternal), 451);
  EXPECT_EQ(code(ErrorCode::kDataLoss), 451);
  EXPECT_EQ(code(ErrorCode::kResourceExhausted), 452);
  EXPECT_EQ(code(ErrorCode::kUnauthenticated), 451);
  EXPECT_EQ(code(ErrorCode::kCancelled), 421);
  EXPECT_EQ(code(ErrorCode::kNotFound), 550);
  EXPECT_EQ(code(ErrorCode::kPermissionDenied), 550);
  EXPECT_EQ(code(ErrorCode::kOutOfRange), 552);
  for (int i = 1; i <= 16; ++i) {
    const auto reply = reply_for(Error(static_cast<ErrorCode>(i), "internal text"));
    EXPECT_EQ(reply.enhanced[0] - '0', reply.code / 100) << i;
    EXPECT_EQ(reply.text.find("internal"), std::string::npos);
  }
  EXPECT_EQ(reply_for(Error(ErrorCode::kPermissionDenied, "x").with_status("5.7.8").with_public("no")),
            (Reply{550, "5.7.8", "no"}));
  EXPECT_EQ(reply_for(Error(ErrorCode::kUnavailable, "x").with_status("5.7.8")).enhanced, "4.3.0");
}

TEST(Reply, IsOneLineWhateverTheTextIs) {
  std::string out;
  append_reply(out, {550, "5.1.1", "no\r\n250 ok" + std::string(1000, 'x')});
  EXPECT_TRUE(out.starts_with("550 5.1.1 no  250 okx"));
  EXPECT_LE(out.size(), 512U);
  EXPECT_EQ(out.find("\r\n"), out.size() - 2);
  out.clear();
  const std::string lines[] = {"mail.example.test", "PIPELINING", "SIZE 1"};
  append_lines(out, 250, lines);
  EXPECT_EQ(out, "250-mail.example.test\r\n250-PIPELINING\r\n250 SIZE 1\r\n");
}

}  // namespace
}  // namespace merpati::smtp
