// Deliver, where recipients, deliveries and tombstones meet.
#include <libpq-fe.h>

#include "store_fixture.hpp"

namespace merpati::store {
namespace {

using Result = v1::DeliverResult;

/// The request and the client live as long as the call.
Task<v1::DeliverResponse> send(v1::StoreClient client, v1::DeliverRequest request) {
  co_return co_await client.deliver(request);
}

struct DeliverTest : testing::Test {
  test::Postgres postgres;
  StoreFixture s{postgres};

  std::vector<Result::Status> statuses(const v1::DeliverRequest& request) {
    std::vector<Result::Status> out;
    const auto response = s.get(s.smtp().deliver(request));
    for (const auto& result : response.results()) out.push_back(result.status());
    return out;
  }
  std::uint32_t messages(std::int64_t account) { return s.open(account).counts().messages(); }
};

TEST_F(DeliverTest, AllOrNoneStoresNothingWhenOneIsFull) {
  auto request = s.delivery(mail("both", std::string(5000, 'x')), {1, 2});
  request.set_all_or_none(true);
  request.mutable_recipients(1)->set_grant(s.grant(2, 4000));
  EXPECT_EQ(statuses(request), (std::vector{Result::STATUS_WITHHELD, Result::STATUS_OVER_QUOTA}));
  EXPECT_EQ(messages(1), 0u);
  EXPECT_EQ(messages(2), 0u);
  EXPECT_EQ(postgres.sql("select count(*) from store.deliveries"), "0") << "the same id may come again";
  request.mutable_recipients(1)->set_grant(s.grant(2));
  EXPECT_EQ(statuses(request), (std::vector{Result::STATUS_DELIVERED, Result::STATUS_DELIVERED}));
  EXPECT_EQ(statuses(request), (std::vector{Result::STATUS_DUPLICATE, Result::STATUS_DUPLICATE}));
  EXPECT_EQ(messages(1), 1u);
}

TEST_F(DeliverTest, AllOrNoneStoresNothingWhenAGrantIsForged) {
  auto request = s.delivery(mail("both"), {1, 2});
  request.set_all_or_none(true);
  request.mutable_recipients(0)->set_grant("forged");
  EXPECT_EQ(statuses(request), (std::vector{Result::STATUS_REFUSED, Result::STATUS_WITHHELD}));
  EXPECT_EQ(messages(2), 0u);
}

TEST_F(DeliverTest, OneCallIsNoneOfItsNeighboursBusiness) {
  std::vector<std::future<merpati::Result<v1::DeliverResponse>>> all;
  for (int i = 0; i < 40; ++i) {
    auto request = s.delivery(mail("m" + std::to_string(i)), {1, 2});
    request.set_all_or_none(true);
    if (i % 10 == 3) request.mutable_recipients(0)->set_grant(s.grant(1, 1));
    all.push_back(asio::co_spawn(s.process().loops().next(), send(s.smtp(), request), asio::use_future));
  }
  for (auto& item : all) EXPECT_TRUE(item.get().has_value());
  EXPECT_EQ(messages(1), 36u);
  EXPECT_EQ(messages(2), 36u) << "those whose neighbour was full have none";
}

TEST_F(DeliverTest, WhatWasGivenUpIsATemporaryFailureForAllOfIt) {
  auto request = s.delivery(mail("late"), {1, 2});
  request.set_all_or_none(true);
  v1::ResolveDeliveryRequest resolve;
  resolve.set_delivery_id(request.delivery_id());
  resolve.set_account_id_of_recipient(2);
  EXPECT_FALSE(s.get(s.queue().resolve_delivery(resolve)).committed());
  EXPECT_EQ(statuses(request), (std::vector{Result::STATUS_WITHHELD, Result::STATUS_TEMPORARY}))
      << "asking for one of them decides for all";
  EXPECT_EQ(messages(1), 0u);
}

// The queue may give a delivery up at the very moment in which it is stored. What the database then refuses to store
// must not be called a duplicate of what nobody has.
TEST_F(DeliverTest, ATombstoneThatComesInBetweenIsNoDuplicate) {
  const auto request = s.delivery(mail("late"), {1});
  s.deliver(1, mail("first"));  // the account exists
  PGconn* other = PQconnectdb(postgres.dsn().c_str());
  PQclear(PQexec(other, "set search_path = store"));
  PQclear(PQexec(other, "begin"));
  PQclear(PQexec(other, ("select resolve_delivery(1, '" + request.delivery_id() + "')").c_str()));
  auto stored = asio::co_spawn(s.process().loops().next(), send(s.smtp(), request), asio::use_future);
  for (int i = 0; i < 1000 && postgres.sql("select count(*) from pg_locks where not granted") == "0"; ++i)
    std::this_thread::sleep_for(5ms);
  EXPECT_EQ(postgres.sql("select count(*) from pg_locks where not granted"), "1") << "it waits for the tombstone";
  PQclear(PQexec(other, "commit"));
  PQfinish(other);
  const auto response = stored.get();
  ASSERT_TRUE(response.has_value()) << response.error().describe();
  EXPECT_EQ(response->results(0).status(), Result::STATUS_TEMPORARY);
  EXPECT_EQ(messages(1), 1u);
}

}  // namespace
}  // namespace merpati::store
