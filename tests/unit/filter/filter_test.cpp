#include <gtest/gtest.h>

#include "filter/rpc/filter_service.hpp"

namespace merpati::filter {
namespace {

class FilterTest : public ::testing::Test {
 protected:
  v1::CheckMessageRequest request(std::string message) {
    v1::CheckMessageRequest out;
    out.mutable_transaction()->set_receiving_host("mx.example.test");
    out.set_size(message.size());
    out.set_message(std::move(message));
    v1::FilterRecipient& recipient = *out.add_recipients();
    recipient.set_account_id(1);
    recipient.set_recipient("alice@example.test");
    return out;
  }
  runtime::Metrics metrics_;
  FilterService service_{"mail.example.test", {}, metrics_};
};

const std::string kGood = "From: a@b\r\nSubject: x\r\n\r\nbody\r\n";

TEST_F(FilterTest, GoodMailIsAcceptedAndSaysWhatWasChecked) {
  auto in = request(kGood);
  auto out = service_.judge(in);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  ASSERT_EQ(out.recipients_size(), 1);
  EXPECT_EQ(out.recipients(0).decision(), v1::DECISION_ACCEPT);
  ASSERT_EQ(out.edits_size(), 1);
  EXPECT_EQ(out.edits(0).value(), "mail.example.test; none");
  in.mutable_transaction()->set_authenticated_account_id(7);
  in.mutable_transaction()->set_authenticated_address("alice@example.test");
  EXPECT_EQ(service_.judge(in).edits(0).value(), "mail.example.test;\r\n auth=pass smtp.auth=alice@example.test");
}

// Golden: whatever comes in, nothing of ours speaks of a method that did not run.
TEST_F(FilterTest, NoResultIsWrittenThatWasNotComputed) {
  const std::string kMails[] = {
      kGood,
      "From: a@b\r\nDKIM-Signature: v=1; d=b; s=s; bh=x; b=y\r\nReceived-SPF: pass\r\n\r\n",
      "From: a@b\r\nAuthentication-Results: mail.example.test; spf=pass; dkim=pass; dmarc=pass\r\n\r\n",
      "Subject: no from\r\n\r\n",
      "",
  };
  for (const std::string& mail : kMails) {
    for (const bool authenticated : {false, true}) {
      auto in = request(mail);
      if (authenticated) {
        in.mutable_transaction()->set_authenticated_account_id(7);
        in.mutable_transaction()->set_authenticated_address("alice@example.test");
      }
      const auto out = service_.judge(in);
      for (const auto& edit : out.edits()) {
        for (const char* method : {"spf", "dkim", "dmarc", "arc", "iprev"}) {
          EXPECT_EQ(edit.value().find(method), std::string::npos) << edit.value();
        }
      }
      for (const auto& symbol : out.symbols()) {
        EXPECT_EQ(symbol.name().find("SPF"), std::string::npos);
        EXPECT_EQ(symbol.name().find("DKIM"), std::string::npos);
      }
    }
  }
}

TEST_F(FilterTest, ForgedResultsOfOurNameAreDeleted) {
  const auto out =
      service_.judge(request("Authentication-Results: MAIL.example.test; spf=pass\r\n"
                             "Authentication-Results: other.test; spf=pass\r\n"
                             "From: a@b\r\n"
                             "Authentication-Results: (c)\r\n \"mx.example.test\" 1; dkim=pass\r\n"
                             "Authentication-Results: mail.example.test.evil; dkim=pass\r\n\r\n"));
  ASSERT_EQ(out.edits_size(), 3);
  EXPECT_EQ(out.edits(1).kind(), v1::HeaderEdit::KIND_DELETE);
  EXPECT_EQ(out.edits(1).index(), 3);
  EXPECT_EQ(out.edits(2).index(), 1);
}

TEST_F(FilterTest, LoopsAreRefused) {
  std::string mail;
  for (int i = 0; i < 51; ++i) mail += "Received: from a by b\r\n";
  auto out = service_.judge(request(mail + kGood));
  EXPECT_EQ(out.decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(out.reply().enhanced(), "5.4.6");
  auto in = request("Delivered-To: Alice@example.test\r\n" + kGood);
  in.add_recipients()->set_recipient("bob@example.test");
  out = service_.judge(in);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(out.recipients(0).decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(out.recipients(1).decision(), v1::DECISION_ACCEPT);
  in.mutable_transaction()->set_authenticated_account_id(7);
  EXPECT_EQ(service_.judge(in).recipients(0).decision(), v1::DECISION_ACCEPT);
}

TEST_F(FilterTest, LimitsAndRequiredFields) {
  const auto symbol = [&](std::string mail) {
    const auto out = service_.judge(request(std::move(mail)));
    return out.decision() == v1::DECISION_REFUSE ? out.symbols(0).name() : std::string();
  };
  EXPECT_EQ(symbol("Subject: x\r\n\r\n"), "NO_FROM");
  EXPECT_EQ(symbol("From: a@b\r\nfrom: c@d\r\n\r\n"), "DUPLICATE_FIELD");
  EXPECT_EQ(symbol("From: a@b\r\nX: " + std::string(300'000, 'x') + "\r\n\r\n"), "HEADER_TOO_LARGE");
  std::string many = "From: a@b\r\n";
  for (int i = 0; i < 1001; ++i) many += "X-A: b\r\n";
  EXPECT_EQ(symbol(many + "\r\n"), "TOO_MANY_HEADERS");
  std::string parts = "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
  for (int i = 0; i < 1001; ++i) parts += "--b\r\n\r\n\r\n";
  EXPECT_EQ(symbol(parts), "TOO_MANY_PARTS");
}

TEST_F(FilterTest, OfLargeMailOnlyTheHeaderIsJudged) {
  v1::CheckMessageRequest in;
  in.set_header("From: a@b\r\n\r\n");
  in.set_size(1'000'000);
  in.set_blob_id("x");
  const auto out = service_.judge(in);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  ASSERT_EQ(out.symbols_size(), 1);
  EXPECT_TRUE(out.symbols(0).not_checked());
}

}  // namespace
}  // namespace merpati::filter
