// The operator's lists of senders, and what an accepted sender is spared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "filter/scoring.hpp"
#include "filter/sender_lists_engine.hpp"
#include "merpati/mailauth/authenticate.hpp"
#include "support/loop.hpp"

namespace merpati::filter {
namespace {

using testing::HasSubstr;
using Treatment = SenderTreatment;

SenderLists lists(const std::vector<std::string>& accept, const std::vector<std::string>& junk = {},
                  const std::vector<std::string>& refuse = {}) {
  SenderLists out;
  for (const auto& entry : accept) EXPECT_TRUE(out.add(entry, Treatment::kAccept).has_value());
  for (const auto& entry : junk) EXPECT_TRUE(out.add(entry, Treatment::kJunk).has_value());
  for (const auto& entry : refuse) EXPECT_TRUE(out.add(entry, Treatment::kRefuse).has_value());
  return out;
}
Treatment find(const SenderLists& in, std::string_view address, bool authenticated = true) {
  return in.find(address, [=] { return authenticated; });
}

TEST(SenderLists, TheMostExactEntryDecides) {
  const auto in = lists({"boss@shop.com", "good.ads.com"}, {"shop.com"}, {"*.ads.com"});
  EXPECT_EQ(find(in, "Boss@Shop.COM"), Treatment::kAccept);
  EXPECT_EQ(find(in, "other@shop.com"), Treatment::kJunk);
  EXPECT_EQ(find(in, "other@mail.shop.com"), Treatment::kNone) << "a domain is not what is below it";
  EXPECT_EQ(find(in, "x@a.b.ads.com"), Treatment::kRefuse);
  EXPECT_EQ(find(in, "x@ads.com"), Treatment::kNone) << "what is below a domain is not the domain";
  EXPECT_EQ(find(in, "x@good.ads.com"), Treatment::kAccept);
  EXPECT_EQ(find(in, "x@good.ads.com", false), Treatment::kRefuse) << "a forger is no friend";
  EXPECT_EQ(find(in, "no address"), Treatment::kNone);
}

TEST(SenderLists, RefusingComesFirst) {
  EXPECT_EQ(find(lists({"a.com"}, {"a.com"}, {"a.com"}), "x@a.com"), Treatment::kRefuse);
  EXPECT_EQ(find(lists({"a.com"}, {"a.com"}), "x@a.com"), Treatment::kJunk);
}

TEST(SenderLists, DomainsMeetInALabels) {
  EXPECT_EQ(find(lists({}, {"m\u00FCnchen.de"}), "x@xn--mnchen-3ya.de"), Treatment::kJunk);
}

TEST(SenderLists, WrongEntriesAreNamed) {
  SenderLists in;
  for (const char* wrong : {"", "@a.com", "*.", "a b.com", "*.*.com"}) {
    const auto added = in.add(wrong, Treatment::kJunk);
    ASSERT_TRUE(added.has_error()) << wrong;
    EXPECT_THAT(added.error().message(), HasSubstr("is neither user@example.com"));
  }
}

struct SenderListsEngineTest : testing::Test {
  Findings check(const SenderLists& with, const std::string& from, std::string_view reverse_path = "") {
    const std::string header = "From: " + from + "\r\n\r\n";
    MessageView view;
    view.header_block = header;
    view.reverse_path = reverse_path;
    view.authentication = &authentication;
    view.authenticated_account = account;
    SenderListsEngine engine(with);
    return *loop.run(engine.check(view));
  }
  std::string symbols(const SenderLists& with, const std::string& from, std::string_view reverse_path = "") {
    const auto found = check(with, from, reverse_path);
    std::string out;
    for (const auto& refusal : found.refusals) out += "!" + refusal.symbol;
    for (const auto& symbol : found.symbols) out += symbol.name;
    return out;
  }
  void dkim_passes(const std::string& domain) {
    authentication.dkim.emplace();
    authentication.dkim->signatures.push_back({.result = mailauth::DkimResult::kPass, .domain = domain});
  }
  void dmarc_says(mailauth::DmarcResult result, const std::string& author) {
    authentication.dmarc.emplace();
    authentication.dmarc->evaluations.push_back({.result = result, .author_domain = author});
  }
  mailauth::Authentication authentication;
  std::int64_t account = 0;
  test::Loop loop;
};

TEST_F(SenderListsEngineTest, AcceptsOnlyWhatIsNoForgery) {
  const auto in = lists({"shop.com"});
  EXPECT_EQ(symbols(in, "a@shop.com"), "SENDER_NOT_AUTHENTICATED");
  dkim_passes("evil.com");
  EXPECT_EQ(symbols(in, "a@shop.com"), "SENDER_NOT_AUTHENTICATED");
  dkim_passes("mail.shop.com");
  EXPECT_EQ(symbols(in, "a@shop.com"), "SENDER_ACCEPTED");
  dmarc_says(mailauth::DmarcResult::kFail, "shop.com");
  EXPECT_EQ(symbols(in, "a@shop.com"), "SENDER_NOT_AUTHENTICATED") << "its domain wants more than that";
  dmarc_says(mailauth::DmarcResult::kPass, "shop.com");
  EXPECT_EQ(symbols(in, "a@shop.com"), "SENDER_ACCEPTED");
  EXPECT_EQ(symbols(in, "a@other.com"), "");
}

TEST_F(SenderListsEngineTest, SpfSpeaksForTheReversePath) {
  const auto in = lists({"bounces@list.com"});
  authentication.spf.emplace();
  authentication.spf->result = mailauth::SpfResult::kPass;
  authentication.spf->domain = "list.com";
  EXPECT_EQ(symbols(in, "a@author.com", "bounces@list.com"), "SENDER_ACCEPTED");
  authentication.spf->result = mailauth::SpfResult::kSoftFail;
  EXPECT_EQ(symbols(in, "a@author.com", "bounces@list.com"), "SENDER_NOT_AUTHENTICATED");
}

TEST_F(SenderListsEngineTest, RefusesAndFilesIntoJunkWithoutProof) {
  const auto in = lists({"friend.com"}, {"ads.com"}, {"evil.com"});
  EXPECT_EQ(symbols(in, "a@evil.com"), "!SENDER_REFUSED");
  EXPECT_EQ(symbols(in, "a@ads.com"), "SENDER_JUNK");
  EXPECT_EQ(symbols(in, "a@ads.com", "b@evil.com"), "!SENDER_REFUSED");
  EXPECT_EQ(symbols(in, "a@friend.com, b@evil.com"), "!SENDER_REFUSED");
  dkim_passes("friend.com");
  EXPECT_EQ(symbols(in, "a@friend.com", "b@ads.com"), "SENDER_JUNK");
  account = 7;
  EXPECT_EQ(symbols(in, "a@evil.com"), "") << "submitted mail is the account's";
}

TEST(AcceptedSenders, OverruleOpinionsButNotFacts) {
  EngineReport sender{.engine = "sender_lists"};
  sender.findings.symbols.push_back({"SENDER_ACCEPTED", -100});
  sender.findings.symbols.back().accepts = true;
  EngineReport rspamd{.engine = "rspamd"};
  rspamd.findings.symbols.push_back({"RSPAMD_SPAM", 0, {}, false, true, {}, true});
  rspamd.findings.refusals.push_back({"RSPAMD_REJECT", 554, "5.7.1", "spam", true, true});
  const auto outcome = [](std::vector<EngineReport> reports, Scoring scoring = {}) {
    return decide(reports, scoring).outcome;
  };
  EXPECT_EQ(outcome({rspamd}), Outcome::kRefuse);
  EXPECT_EQ(outcome({rspamd, sender}), Outcome::kAccept);
  Scoring weighed;
  weighed.weights["SENDER_ACCEPTED"] = -3;
  EXPECT_EQ(outcome({rspamd, sender}, weighed), Outcome::kRefuse) << "with a weight it is points and no more";
  EngineReport clamd{.engine = "clamd"};
  clamd.findings.refusals.push_back({"VIRUS", 554, "5.7.1", "virus", true});
  EXPECT_EQ(outcome({clamd, sender}), Outcome::kRefuse);
  EngineReport image{.engine = "attachments"};
  image.findings.symbols.push_back({"ATTACHMENT_DISK_IMAGE", 2, {}, false, true});
  EXPECT_EQ(outcome({image, sender}), Outcome::kJunk);
}

}  // namespace
}  // namespace merpati::filter
