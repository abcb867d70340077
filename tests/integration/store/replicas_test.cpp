// Two replicas of one store, and the collector.
#include "store/collector.hpp"
#include "store/core.hpp"
#include "store/watchers.hpp"
#include "store_fixture.hpp"

namespace merpati::store {
namespace {

Task<v1::WatchResponse> first_event(StoreFixture& s, std::int64_t account, std::function<void()> then) {
  auto client = s.imap();
  MERPATI_CO_TRY(auto stream, co_await client.watch());
  v1::WatchRequest request;
  request.set_account_id(account);
  request.set_token(s.as(account).token);
  MERPATI_CO_CHECK(co_await stream->write(request));
  MERPATI_CO_CHECK(co_await sleep_for(300ms));
  then();
  MERPATI_CO_TRY(auto event, co_await with_deadline(stream->read(), Deadline::after(5s)));
  stream->cancel();
  if (!event) co_return Error(ErrorCode::kInternal, "the stream ended");
  co_return *event;
}

TEST(Replicas, OneHearsOfWhatTheOtherCommitted) {
  test::Postgres postgres;
  StoreFixture one(postgres), two(postgres);
  one.trust(two);
  one.deliver(5, mail("before"));
  std::thread sender;
  const auto event =
      one.get(first_event(one, 5, [&] { sender = std::thread([&] { two.deliver(5, mail("there")); }); }));
  sender.join();
  EXPECT_EQ(event.account_id(), 5);
  EXPECT_EQ(event.highest_modseq(), one.open(5).counts().highest_modseq());
}

TEST(Watchers, AChangeWithoutANumberIsNotHiddenByAnOlderOne) {
  test::Postgres postgres;
  StoreFixture s(postgres);
  pg::PoolOptions options;
  options.dsn = postgres.dsn();
  pg::Pool pool({s.process().loops().main()}, options);
  TaskGroup group(s.process().loops().main());
  Core core(pool, s.process().blocking(), group, {});
  const auto subscription = core.watchers->subscribe();
  subscription->add(1, 77);
  EXPECT_EQ(s.get(subscription->next()).begun, (std::vector<std::pair<std::int64_t, std::uint64_t>>{{1, 77}}));
  for (const std::uint64_t modseq : {7, 5}) core.watchers->changed(1, 2, modseq);
  auto batch = s.get(subscription->next());
  ASSERT_EQ(batch.events.size(), 1u);
  EXPECT_EQ(batch.events[0].modseq, 7u);
  for (const std::uint64_t modseq : {7, 0, 8}) core.watchers->changed(1, 2, modseq);
  core.watchers->changed(9, 2, 1);  // not watched
  batch = s.get(subscription->next());
  ASSERT_EQ(batch.events.size(), 1u);
  EXPECT_EQ(batch.events[0].modseq, 0u);
}

TEST(Collector, RemovesWhatNothingUsesAndNothingElse) {
  test::Postgres postgres;
  StoreFixture s(postgres);
  const auto kept = s.deliver(1, mail("kept"));
  s.deliver(1, mail("gone"));
  v1::StoreFlagsRequest flags;
  flags.set_account_id(1);
  flags.set_mailbox_id(kept.mailbox_id());
  flags.set_mode(v1::StoreFlagsRequest::MODE_ADD);
  flags.set_flags(v1::SYSTEM_FLAG_DELETED);
  add_range(flags.mutable_uids(), 2, 2);
  s.get(s.imap().store_flags(flags, s.as(1)));
  v1::ExpungeRequest expunge;
  expunge.set_account_id(1);
  expunge.set_mailbox_id(kept.mailbox_id());
  s.get(s.imap().expunge(expunge, s.as(1)));

  pg::PoolOptions options;
  options.dsn = postgres.dsn();
  options.schema = "store";
  pg::Pool pool({s.process().loops().main()}, options);
  TaskGroup group(s.process().loops().main());
  Core core(pool, s.process().blocking(), group, {});
  const auto now = Clock::system().wall();
  s.get(collect_once(core, now));
  EXPECT_EQ(postgres.sql("select count(*) from store.bodies"), "2");
  EXPECT_NE(s.content(1, kept.mailbox_id(), 2), "");
  s.get(collect_once(core, now + std::chrono::hours(25)));  // the grave's grace is over
  EXPECT_EQ(postgres.sql("select count(*) from store.graves"), "0");
  EXPECT_EQ(postgres.sql("select count(*) from store.bodies"), "1");
  EXPECT_NE(s.content(1, kept.mailbox_id(), 1), "");
  EXPECT_EQ(postgres.sql("select count(*) from store.deliveries"), "2");
  s.get(collect_once(core, now + std::chrono::hours(24 * 90)));
  EXPECT_EQ(postgres.sql("select count(*) from store.deliveries"), "0");
  EXPECT_EQ(postgres.sql("select count(*) from store.expunged"), "0");
  v1::GetChangesRequest changes;
  changes.set_account_id(1);
  changes.set_mailbox_id(kept.mailbox_id());
  changes.set_since_modseq(2);
  EXPECT_TRUE(s.get(s.imap().get_changes(changes, s.as(1))).too_old());
}

}  // namespace
}  // namespace merpati::store
