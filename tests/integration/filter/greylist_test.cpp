// Greylisting, remembered in PostgreSQL. Time passes by making what is remembered older.
#include "filter_fixture.hpp"

namespace merpati::filter {
namespace {

class GreylistTest : public FilterTest {
 protected:
  void SetUp() override {
    FilterTest::SetUp();
    config_.mutable_greylist()->set_enabled(true);
    config_.mutable_greylist()->set_threshold(0);
    config_.mutable_mail_authentication()->set_enabled(false);
  }
  struct Mail {
    std::string client = "192.0.2.1";
    std::string sender = "joe@example.org";
    std::vector<std::string> recipients = {"a@here.test"};
    std::string delivery_id = new_uuid();
  };
  v1::CheckMessageResponse bring(const Mail& mail) {
    v1::CheckMessageRequest request;
    auto& transaction = *request.mutable_transaction();
    transaction.set_delivery_id(mail.delivery_id);
    transaction.set_client_address(mail.client);
    transaction.set_reverse_path(mail.sender);
    for (const auto& recipient : mail.recipients) request.add_recipients()->set_recipient(recipient);
    request.set_message("From: joe@example.org\r\n\r\nhello\r\n");
    request.set_size(request.message().size());
    v1::FilterClient client(smtp_);
    return call(client.check_message(request));
  }
  bool passes(const Mail& mail) {
    const auto response = bring(mail);
    EXPECT_TRUE(response.decision() == v1::DECISION_ACCEPT || response.reply().code() == 451) << response.DebugString();
    return response.decision() == v1::DECISION_ACCEPT;
  }
  void wait(const std::string& time) {
    const std::string minus = " - interval '" + time + "'";
    database_->sql("update filter.greylist_attempts set first_at = first_at" + minus + ", forget_at = forget_at" +
                   minus);
    database_->sql("update filter.greylist_known set known_until = known_until" + minus);
  }
  std::string attempts() { return database_->sql("select count(*) from filter.greylist_attempts"); }
  std::string forgotten() { return database_->sql("set search_path = filter; select forget_greylist(1000)"); }
  std::string known() { return database_->sql("select count(*) from filter.greylist_known"); }
};

TEST_F(GreylistTest, WhoComesAgainIsKnownOnEveryReplica) {
  start();
  const auto first = bring({});
  EXPECT_EQ(first.decision(), v1::DECISION_TEMPORARY);
  EXPECT_EQ(first.reply().code(), 451);
  EXPECT_EQ(first.reply().enhanced(), "4.7.1");
  EXPECT_NE(first.reply().text().find("try again in 300 seconds"), std::string::npos) << first.reply().text();
  wait("4 minutes");
  const auto early = bring({});
  EXPECT_EQ(early.decision(), v1::DECISION_TEMPORARY) << "too early";
  EXPECT_NE(early.reply().text().find("try again in"), std::string::npos) << early.reply().text();
  stop();
  start();
  wait("1 minute");
  EXPECT_TRUE(passes({})) << "five minutes after its first attempt, whatever came between";
  EXPECT_EQ(attempts(), "0");
  EXPECT_TRUE(passes({.client = "192.0.2.200", .sender = "jane@example.org", .recipients = {"b@here.test"}}))
      << "the network and the domain are known";
  EXPECT_FALSE(passes({.client = "192.0.3.1"})) << "another network";
  EXPECT_FALSE(passes({.sender = "joe@example.com"})) << "another domain";
}

TEST_F(GreylistTest, TheSameAttemptAskedAboutAgainIsNoSecondOne) {
  start();
  const Mail mail;
  EXPECT_FALSE(passes(mail));
  EXPECT_FALSE(passes(mail));
  wait("1 hour");
  EXPECT_FALSE(passes(mail)) << "its client has not come again";
  EXPECT_EQ(attempts(), "1");
  const Mail again;
  EXPECT_TRUE(passes(again));
  EXPECT_TRUE(passes(again)) << "the same call has the same answer";
}

TEST_F(GreylistTest, ARecipientIsEnoughToBeKnownAgain) {
  start();
  EXPECT_FALSE(passes({.recipients = {"a@here.test", "b@here.test", "a@here.test"}}));
  EXPECT_EQ(attempts(), "2");
  wait("10 minutes");
  EXPECT_FALSE(passes({.recipients = {"c@here.test"}})) << "other mail of the same sender";
  EXPECT_TRUE(passes({.recipients = {"d@here.test", "b@here.test"}}));
}

TEST_F(GreylistTest, WhatWasLongAgoCountsNoMore) {
  start();
  EXPECT_FALSE(passes({}));
  wait("3 days");
  EXPECT_FALSE(passes({})) << "beyond the retry window it is a first attempt";
  wait("10 minutes");
  EXPECT_TRUE(passes({}));
  wait("30 days");
  EXPECT_TRUE(passes({})) << "known, and from now on for 35 days again";
  wait("30 days");
  EXPECT_TRUE(passes({}));
  wait("36 days");
  EXPECT_FALSE(passes({}));
}

TEST_F(GreylistTest, TheNullSenderIsASenderToo) {
  start();
  EXPECT_FALSE(passes({.sender = ""}));
  wait("10 minutes");
  EXPECT_TRUE(passes({.sender = ""}));
  EXPECT_FALSE(passes({.client = "192.0.3.1", .sender = ""}));
}

TEST_F(GreylistTest, ManyAtOnceAreAllAnswered) {
  start();
  // The same rows in another order: no two of them may wait for each other.
  std::vector<v1::CheckMessageRequest> requests(40);
  std::vector<std::future<Result<v1::CheckMessageResponse>>> calls;
  v1::FilterClient client(smtp_);
  for (int i = 0; i < 40; ++i) {
    auto& request = requests[static_cast<std::size_t>(i)];
    request.mutable_transaction()->set_delivery_id(new_uuid());
    request.mutable_transaction()->set_client_address("192.0.2.1");
    for (int r = 0; r < 20; ++r)
      request.add_recipients()->set_recipient("r" + std::to_string(i % 2 == 0 ? r : 19 - r) + "@here.test");
    request.set_message("From: joe@example.org\r\n\r\nhello\r\n");
    request.set_size(request.message().size());
    calls.push_back(asio::co_spawn(process_->loops().main(), client.check_message(request), asio::use_future));
  }
  for (auto& call : calls) {
    const auto response = call.get();
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->decision(), v1::DECISION_TEMPORARY);
    EXPECT_EQ(response->reply().code(), 451);
  }
  EXPECT_EQ(attempts(), "20");
}

TEST_F(GreylistTest, OldRowsArePurged) {
  start();
  EXPECT_FALSE(passes({}));
  EXPECT_FALSE(passes({.client = "192.0.3.1"}));
  wait("10 minutes");
  EXPECT_TRUE(passes({}));
  EXPECT_EQ(forgotten(), "0");
  wait("3 days");
  EXPECT_EQ(forgotten(), "1") << "the attempt";
  EXPECT_EQ(known(), "1");
  wait("40 days");
  EXPECT_EQ(forgotten(), "1");
  EXPECT_EQ(known(), "0");
}

TEST_F(GreylistTest, NothingIsWrittenOfWhatItIsNotAskedAbout) {
  config_.mutable_greylist()->set_threshold(4);
  start();
  EXPECT_TRUE(passes({}));
  EXPECT_EQ(attempts(), "0");
}

}  // namespace
}  // namespace merpati::filter
