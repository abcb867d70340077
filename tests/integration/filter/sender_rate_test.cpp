// How much accounts sent, counted in PostgreSQL.
#include "filter_fixture.hpp"

namespace merpati::filter {
namespace {

class SenderRateTest : public FilterTest {
 protected:
  /// Whether the account's next message is beyond its limit.
  bool beyond(std::int64_t account) {
    v1::CheckMessageRequest request;
    auto& transaction = *request.mutable_transaction();
    transaction.set_delivery_id(new_uuid());
    transaction.set_authenticated_account_id(account);
    for (const char* address : {"a@remote.test", "b@remote.test"}) request.add_recipients()->set_recipient(address);
    request.set_message("From: a@example.test\r\n\r\nhello\r\n");
    request.set_size(request.message().size());
    v1::FilterClient client(smtp_);
    const auto response = call(client.check_message(request));
    EXPECT_EQ(response.decision(), v1::DECISION_ACCEPT);
    return response.symbols_size() > 0 && response.symbols(0).name() == "SENDER_RATE";
  }
};

TEST_F(SenderRateTest, EveryReplicaCountsTheSame) {
  config_.mutable_sender_rate()->set_recipients_per_hour(7);
  start();
  EXPECT_FALSE(beyond(1));
  EXPECT_FALSE(beyond(1));
  stop();
  start();
  EXPECT_FALSE(beyond(1));
  EXPECT_TRUE(beyond(1)) << "eight recipients";
  EXPECT_FALSE(beyond(2)) << "another account";
  database_->sql("update filter.sent set slot = slot - 6");
  EXPECT_FALSE(beyond(1)) << "what was sent an hour ago counts no more";
}

TEST_F(SenderRateTest, NothingIsWrittenWithoutALimit) {
  start();
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(beyond(1));
  EXPECT_EQ(database_->sql("select count(*) from filter.sent"), "0");
}

}  // namespace
}  // namespace merpati::filter
