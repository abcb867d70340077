// Reputations in PostgreSQL. Time passes by making what was counted older.
#include "filter_fixture.hpp"

namespace merpati::filter {
namespace {

constexpr const char* kGood = "From: joe@example.org\r\n\r\nhello\r\n";
constexpr const char* kBad = "Subject: from nobody\r\n\r\nhello\r\n";

class ReputationTest : public FilterTest {
 protected:
  void SetUp() override {
    FilterTest::SetUp();
    config_.mutable_mail_authentication()->set_enabled(false);
    config_.mutable_reputation()->set_enabled(true);
    config_.mutable_reputation()->set_min_messages(3);
    auto& weight = *config_.add_weights();
    weight.set_symbol("NO_FROM");
    weight.set_score(7);
  }
  v1::CheckMessageResponse bring(const std::string& message, const std::string& client = "192.0.2.1",
                                 const std::string& delivery_id = new_uuid()) {
    v1::CheckMessageRequest request;
    auto& transaction = *request.mutable_transaction();
    transaction.set_delivery_id(delivery_id);
    transaction.set_client_address(client);
    transaction.set_reverse_path("joe@example.org");
    request.add_recipients()->set_recipient("a@here.test");
    request.set_message(message);
    request.set_size(message.size());
    v1::FilterClient filter(smtp_);
    return call(filter.check_message(request));
  }
  /// Waits until as many deliveries were counted.
  void counted(int deliveries) {
    const auto until = std::chrono::steady_clock::now() + 30s;
    const std::string wanted = std::to_string(deliveries);
    std::string now;
    while (std::chrono::steady_clock::now() < until) {
      now = database_->sql("select count(*) from filter.judged");
      if (now == wanted) return;
      std::this_thread::sleep_for(5ms);
    }
    FAIL() << now << " of " << wanted << " were counted";
  }
  /// "good junk refused", rounded to tenths.
  std::string row(const std::string& name) {
    return database_->sql(
        "select round(good::numeric, 1) || ' ' || round(junk::numeric, 1) || ' ' || round(refused::numeric, 1)"
        " from filter.reputations where name = '" +
        name + "'::bytea");
  }
  static double points(const v1::CheckMessageResponse& response, const std::string& name) {
    for (const auto& symbol : response.symbols())
      if (symbol.name() == name) return symbol.score();
    return 0;
  }
};

TEST_F(ReputationTest, EveryReplicaKnowsWhatBecameOfEarlierMail) {
  start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(bring(kBad).decision(), v1::DECISION_JUNK);
  counted(4);
  EXPECT_EQ(row("192.0.2.0/24"), "0.0 4.0 0.0");
  stop();
  start();
  const auto response = bring(kGood, "192.0.2.99");
  EXPECT_GT(points(response, "SENDER_REPUTATION"), 0);
  EXPECT_GT(points(response, "ADDRESS_REPUTATION"), 0);
  EXPECT_EQ(points(response, "DOMAIN_REPUTATION"), 0) << "nothing authenticates it";
  EXPECT_EQ(points(bring(kGood, "192.0.3.1"), "SENDER_REPUTATION"), 0) << "anybody could be this sender";
}

TEST_F(ReputationTest, ARepeatedCallCountsOnce) {
  start();
  const auto delivery = new_uuid();
  for (int i = 0; i < 5; ++i) bring(kGood, "192.0.2.1", delivery);
  bring(kGood, "192.0.3.1");
  counted(2);
  EXPECT_EQ(row("192.0.2.0/24"), "1.0 0.0 0.0");
}

TEST_F(ReputationTest, WhatMayComeAgainIsNotCounted) {
  config_.mutable_thresholds()->set_temporary(6.5);
  config_.mutable_thresholds()->set_junk(6);
  start();
  EXPECT_EQ(bring(kBad).decision(), v1::DECISION_TEMPORARY);
  EXPECT_EQ(bring(kGood).decision(), v1::DECISION_ACCEPT);
  counted(1);
  EXPECT_EQ(row("192.0.2.0/24"), "1.0 0.0 0.0");
}

TEST_F(ReputationTest, AReputationDoesNotFeedOnItself) {
  config_.mutable_reputation()->set_sender_points(100);
  start();
  for (int i = 0; i < 4; ++i) bring(kBad);
  counted(4);
  EXPECT_EQ(bring(kGood).decision(), v1::DECISION_REFUSE) << "by its reputation";
  counted(5);
  EXPECT_EQ(row("192.0.2.0/24"), "1.0 4.0 0.0") << "what counts is what the others thought of it";
}

TEST_F(ReputationTest, CountsLoseHalfOfTheirWeightInEachHalfLife) {
  start();
  for (int i = 0; i < 8; ++i) bring(kGood);
  counted(8);
  database_->sql("update filter.reputations set counted_at = counted_at - interval '28 days'");
  bring(kBad);
  counted(9);
  EXPECT_EQ(row("192.0.2.0/24"), "2.0 1.0 0.0");
  database_->sql("update filter.reputations set counted_at = counted_at - interval '10 years'");
  EXPECT_EQ(points(bring(kGood), "ADDRESS_REPUTATION"), 0);
}

TEST_F(ReputationTest, WhoIsKnownForGoodMailIsNotGreylisted) {
  config_.mutable_greylist()->set_enabled(true);
  config_.mutable_greylist()->set_threshold(0);
  start();
  EXPECT_EQ(bring(kGood).decision(), v1::DECISION_TEMPORARY);
  database_->sql("insert into filter.reputations values (3, '192.0.2.0/24'::bytea, 50, 0, 0, now(), now()::date + 1)");
  EXPECT_EQ(bring(kGood).decision(), v1::DECISION_ACCEPT);
}

TEST_F(ReputationTest, ManyAtOnceAreAllCounted) {
  start();
  v1::FilterClient client(smtp_);
  std::vector<v1::CheckMessageRequest> requests(300);
  std::vector<std::future<Result<v1::CheckMessageResponse>>> calls;
  for (int i = 0; i < 300; ++i) {
    auto& request = requests[static_cast<std::size_t>(i)];
    request.mutable_transaction()->set_delivery_id(new_uuid());
    request.mutable_transaction()->set_client_address("192.0." + std::to_string(i % 3) + ".1");
    request.mutable_transaction()->set_reverse_path("joe@example.org");
    request.add_recipients()->set_recipient("a@here.test");
    request.set_message(kGood);
    request.set_size(request.message().size());
    calls.push_back(asio::co_spawn(process_->loops().main(), client.check_message(request), asio::use_future));
  }
  for (auto& call : calls) EXPECT_TRUE(call.get().has_value());
  counted(300);
  EXPECT_EQ(row("192.0.1.0/24"), "100.0 0.0 0.0");
}

TEST_F(ReputationTest, WhatWaitsIsCountedAtTheEnd) {
  start();
  for (int i = 0; i < 20; ++i) bring(kGood);
  stop();
  EXPECT_EQ(database_->sql("select count(*) from filter.judged"), "20");
}

TEST_F(ReputationTest, OldRowsArePurged) {
  start();
  bring(kGood);
  counted(1);
  const auto forget = [&] { return database_->sql("set search_path = filter; select forget_reputations(1000)"); };
  EXPECT_EQ(forget(), "0");
  database_->sql("update filter.judged set judged_at = judged_at - interval '2 hours'");
  EXPECT_EQ(forget(), "1");
  // One message: after one half-life less than half of it is left.
  EXPECT_EQ(database_->sql("select distinct forget_on - now()::date from filter.reputations"), "15");
  database_->sql("update filter.reputations set forget_on = forget_on - 16");
  EXPECT_EQ(forget(), "2") << "sender and network";
}

TEST_F(ReputationTest, NothingIsWrittenWhereItIsOff) {
  config_.mutable_reputation()->set_enabled(false);
  start();
  bring(kGood);
  stop();
  EXPECT_EQ(database_->sql("select count(*) from filter.judged"), "0");
}

}  // namespace
}  // namespace merpati::filter
