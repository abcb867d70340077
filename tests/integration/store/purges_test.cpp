// What auth's feed says of accounts whose 30 days are over.
#include "store/purges.hpp"
#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "store_fixture.hpp"

namespace merpati::store {
namespace {

/// A feed of purges; position n is that of account n.
class FakeAuth final : public auth::v1::AuthService {
 public:
  Task<void> watch_events(rpc::Context&, const auth::v1::WatchEventsRequest& request,
                          rpc::Writer<auth::v1::Event>& out) override {
    asked_after = request.after_position();
    for (std::int64_t account = 1; account <= last; ++account) {
      if (account <= request.after_position()) continue;
      auth::v1::Event event;
      event.set_position(account);
      event.set_kind(auth::v1::Event::KIND_ACCOUNT_PURGED);
      event.set_account_id(account);
      MERPATI_CO_CHECK(co_await out.write(std::move(event)));
    }
    co_return Result<void>();
  }
  std::atomic<std::int64_t> last = 0, asked_after = -1;
};

TEST(Purges, AreFollowedFromWhereTheyWereLeft) {
  test::Postgres postgres;
  StoreFixture s(postgres);
  for (const std::int64_t account : {1, 2, 3}) s.deliver(account, mail("to " + std::to_string(account)));
  FakeAuth auth;
  rpc::Dispatcher door;
  door.register_service(auth);
  const auto channel = rpc::in_process_channel(door, rpc::Role::kStore);
  pg::PoolOptions options;
  options.dsn = postgres.dsn();
  options.schema = "store";
  pg::Pool pool({s.process().loops().main()}, options);
  TaskGroup core_group(s.process().loops().main());
  Core core(pool, s.process().blocking(), core_group, {});
  const auto follow_until = [&](const std::string& left) {
    TaskGroup group(s.process().loops().main());
    group.spawn(purge_for_ever(core, channel));
    const auto messages = [&] { return postgres.sql("select count(*) from store.messages"); };
    for (int i = 0; i < 400 && messages() != left; ++i) std::this_thread::sleep_for(25ms);
    EXPECT_EQ(messages(), left);
    const auto position = std::to_string(auth.last);
    for (int i = 0; i < 400 && postgres.sql("select position from store.followed_events") != position; ++i)
      std::this_thread::sleep_for(25ms);
    group.cancel();
    s.get(group.join(Deadline::after(5s)));
  };
  auth.last = 1;
  follow_until("2");
  EXPECT_EQ(s.deliver(1, mail("late")).status(), v1::DeliverResult::STATUS_REFUSED);
  auth.last = 2;
  follow_until("1");
  EXPECT_GE(auth.asked_after, 1) << "what was done is not asked for again";
  EXPECT_EQ(s.open(3).counts().messages(), 1u);
  EXPECT_EQ(postgres.sql("select count(*) from store.mailboxes where account_id < 3"), "0");
  EXPECT_EQ(postgres.sql("select count(*) from store.bodies where refs > 0"), "1")
      << "the collector may have the others";
}

TEST(Purges, ALargeMailboxGoesInSteps) {
  test::Postgres postgres;
  StoreFixture s(postgres);
  s.deliver(1, mail("one"));
  postgres.sql(
      "insert into store.messages (account_id, mailbox_id, uid, modseq, size, email_id, thread_id, received_at, "
      "inline, "
      "blob_id, envelope, structure, detail) select account_id, mailbox_id, n, modseq, size, email_id, thread_id, "
      "received_at, inline, blob_id, envelope, structure, detail from store.messages, generate_series(2, 5000) n;"
      "update store.bodies set refs = 5000");
  v1::PurgeAccountRequest purge;
  purge.set_account_id(1);
  s.get(s.admin().purge_account(purge));
  EXPECT_EQ(postgres.sql("select count(*) from store.messages"), "0");
  EXPECT_EQ(postgres.sql("select refs from store.bodies"), "0");
}

}  // namespace
}  // namespace merpati::store
