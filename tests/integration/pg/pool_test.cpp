// The pool against a real PostgreSQL: types, pipelining, faults.
#include "merpati/pg/pool.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "merpati/base/ids.hpp"
#include "merpati/pg/listener.hpp"
#include "merpati/pg/migration.hpp"
#include "support/loop.hpp"
#include "support/postgres.hpp"

namespace merpati::pg {
namespace {
using namespace std::chrono_literals;

test::Postgres& server() {
  static test::Postgres instance;
  return instance;
}

using test::Loop;

struct Fixture {
  explicit Fixture(PoolOptions options = {}) {
    options.dsn = server().dsn();
    pool = std::make_unique<Pool>(std::vector<asio::any_io_executor>{loop.context.get_executor()}, std::move(options));
  }
  ~Fixture() {
    pool.reset();
    loop.catch_up();
  }
  Loop loop;
  std::unique_ptr<Pool> pool;
};

TEST(Pool, EveryTypeThereAndBack) {
  Fixture f;
  static const Statement kTypes{"types",
                                "select $1::bool, $2::int, $3::bigint, $4::text, $5::bytea, $6::timestamptz, $7::uuid, "
                                "$8::bigint[], $9::text[], $10::bytea[], $11::float8, $12::text"};
  const std::string bytes("a\0b\xff", 4);
  const auto now = from_microseconds(1790000000123456);
  const auto id = new_uuid();
  Params params;
  params.boolean(true).integer(-7).bigint(1LL << 40).text("pâté").bytea(bytes).timestamptz(now).uuid(id);
  params.bigints(std::vector<std::int64_t>{1, -2, 1LL << 50}).texts(std::vector<std::string>{"x", ""});
  params.byteas(std::vector<std::string_view>{bytes}).float8(0.25).text(std::nullopt);
  auto rows = f.loop.run(f.pool->query(kTypes, std::move(params)));
  ASSERT_TRUE(rows.has_value()) << rows.error().describe();
  const auto row = rows->front();
  EXPECT_TRUE(row.boolean(0));
  EXPECT_EQ(row.integer(1), -7);
  EXPECT_EQ(row.bigint(2), 1LL << 40);
  EXPECT_EQ(row.text(3), "pâté");
  EXPECT_EQ(row.bytea(4), bytes);
  EXPECT_EQ(row.timestamptz(5), now);
  EXPECT_EQ(row.uuid(6), id);
  EXPECT_EQ(row.bigints(7), (std::vector<std::int64_t>{1, -2, 1LL << 50}));
  EXPECT_EQ(row.texts(8), (std::vector<std::string_view>{"x", ""}));
  EXPECT_EQ(row.byteas(9), std::vector<std::string_view>{bytes});
  EXPECT_EQ(row.float8(10), 0.25);
  EXPECT_TRUE(row.is_null(11));
  EXPECT_THROW(static_cast<void>(row.bigint(3)), std::logic_error);
  EXPECT_THROW(static_cast<void>(row.text(11)), std::logic_error);
}

Task<void> one_by_one_of(Pool& pool, int number, std::atomic<int>& right) {
  static const Statement kDivide{"divide", "select 100 / $1::int, $1"};
  Params params;
  params.integer(number);
  auto rows = co_await pool.query(kDivide, std::move(params));
  if (number == 0)
    right += rows.has_error() && rows.error().code() == ErrorCode::kInvalidArgument;
  else
    right += rows.has_value() && rows->front().integer(1) == number;
  co_return Result<void>();
}

TEST(Pool, OneBadStatementDoesNotHarmItsNeighboursInThePipeline) {
  PoolOptions options;
  options.read_connections = 1;
  Fixture f(options);
  std::atomic<int> right = 0;
  std::vector<std::future<Result<void>>> all;
  for (int i = 0; i < 500; ++i)
    all.push_back(asio::co_spawn(f.loop.context, one_by_one_of(*f.pool, i % 10, right), asio::use_future));
  for (auto& item : all) EXPECT_TRUE(item.get().has_value());
  EXPECT_EQ(right, 500);
  EXPECT_EQ(f.pool->stats().connections, 1u);
}

TEST(Pool, AStatementThatCannotBePreparedFailsEveryTimeAndHarmsNothing) {
  Fixture f;
  static const Statement kBad{"bad", "select nonsense from nowhere"};
  static const Statement kGood{"good", "select 1"};
  for (int i = 0; i < 3; ++i) {
    auto bad = f.loop.run(f.pool->query(kBad));
    ASSERT_TRUE(bad.has_error());
    EXPECT_EQ(bad.error().code(), ErrorCode::kUnavailable);  // 42P01: not migrated yet
    EXPECT_TRUE(f.loop.run(f.pool->query(kGood)).has_value());
  }
}

TEST(Pool, DeadlineAndCancellationLeaveThePipelineUsable) {
  PoolOptions options;
  options.read_connections = 1;
  Fixture f(options);
  static const Statement kSleep{"sleep", "select pg_sleep(0.3)"};
  static const Statement kGood{"good", "select 5"};
  auto late = f.loop.run(f.pool->query(kSleep, {}, Deadline::after(60ms)));
  ASSERT_TRUE(late.has_error());
  EXPECT_EQ(late.error().code(), ErrorCode::kDeadlineExceeded);
  auto cancelled = f.loop.run(with_deadline(f.pool->query(kSleep), Deadline::after(60ms)));
  ASSERT_TRUE(cancelled.has_error());
  EXPECT_EQ(cancelled.error().code(), ErrorCode::kDeadlineExceeded);
  auto good = f.loop.run(f.pool->query(kGood));
  ASSERT_TRUE(good.has_value()) << good.error().describe();
  EXPECT_EQ(good->front().integer(0), 5);
}

TEST(Pool, AnotherLoopMayAwaitIt) {
  Loop other;  // ends last: the pool's loop may not yet be back from posting the last answer
  Fixture f;
  static const Statement kGood{"good", "select 5"};
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(other.run(f.pool->query(kGood)).has_value());
}

TEST(Pool, TooManyWaitingAreRefused) {
  PoolOptions options;
  options.read_connections = 1;
  options.read_depth = 1;
  options.max_waiting = 3;
  Fixture f(options);
  static const Statement kSleep{"sleep", "select pg_sleep(0.1)"};
  ASSERT_TRUE(f.loop.run(f.pool->query(kSleep)).has_value());
  std::vector<std::future<Result<Rows>>> all;
  for (int i = 0; i < 10; ++i) all.push_back(asio::co_spawn(f.loop.context, f.pool->query(kSleep), asio::use_future));
  int refused = 0;
  for (auto& item : all) {
    auto result = item.get();
    if (result.has_error()) refused += result.error().code() == ErrorCode::kResourceExhausted;
  }
  EXPECT_GE(refused, 5);
  EXPECT_LE(refused, 7);
}

TEST(Pool, DeadlocksAreRepeatedInside) {
  server().sql(
      "create table if not exists counters (id int primary key, n bigint not null);"
      "truncate counters; insert into counters values (1, 0), (2, 0);"
      "create or replace function bump_two(a int, b int) returns void language plpgsql as $$ begin "
      "update counters set n = n + 1 where id = a; perform pg_sleep(0.02); update counters set n = n + 1 where id = b; "
      "end $$");
  PoolOptions options;
  options.write_connections = 2;
  options.write_depth = 1;
  options.settings["deadlock_timeout"] = "20ms";
  Fixture f(options);
  static const Statement kBump{"bump", "select bump_two($1, $2)::text"};
  // Two that wait for each other: one gives way, and has nobody to wait for when it is repeated. On a busy machine they
  // may miss each other, so until they have met.
  int rounds = 0;
  for (; rounds < 100 && f.pool->stats().conflicts == 0; ++rounds) {
    std::vector<std::future<Result<Rows>>> both;
    for (int i = 0; i < 2; ++i) {
      Params params;
      params.integer(1 + i).integer(2 - i);
      both.push_back(asio::co_spawn(f.loop.context, f.pool->write(kBump, std::move(params)), asio::use_future));
    }
    for (auto& item : both) EXPECT_TRUE(item.get().has_value());
  }
  EXPECT_GT(f.pool->stats().conflicts, 0u);
  EXPECT_EQ(server().sql("select sum(n) from counters"), std::to_string(4 * rounds));
}

TEST(Pool, AKilledServerIsAnsweredForAtOnceAndComesBack) {
  test::Postgres own;
  Loop loop;
  PoolOptions options;
  options.dsn = own.dsn();
  Pool pool({loop.context.get_executor()}, options);
  static const Statement kSleep{"sleep", "select pg_sleep(5)"};
  static const Statement kGood{"good", "select 5"};
  ASSERT_TRUE(loop.run(pool.query(kGood)).has_value());
  auto in_flight = asio::co_spawn(loop.context, pool.write(kSleep), asio::use_future);
  std::this_thread::sleep_for(100ms);
  own.kill();
  auto lost = in_flight.get();
  ASSERT_TRUE(lost.has_error());
  EXPECT_EQ(lost.error().code(), ErrorCode::kUnavailable);
  auto first = loop.run(pool.query(kGood));
  ASSERT_TRUE(first.has_error());
  EXPECT_EQ(first.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(pool.available());
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(loop.run(pool.query(kGood)).has_error());
  own.start();
  bool back = false;
  for (int i = 0; i < 100 && !back; ++i) {
    back = loop.run(pool.query(kGood)).has_value();
    if (!back) std::this_thread::sleep_for(50ms);
  }
  EXPECT_TRUE(back);
  pool.close();
  loop.catch_up();
}

// A server that is stopped, or cut off by the network, keeps its connections: only its silence tells.
TEST(Pool, ASilentServerIsFoundOutAndComesBack) {
  Fixture f;
  static const Statement kOne{"one", "select 1"};
  ASSERT_TRUE(f.loop.run(f.pool->query(kOne)).has_value());
  server().pause();
  auto in_flight = f.loop.run(f.pool->query(kOne, {}, Deadline::after(20s)));
  ASSERT_TRUE(in_flight.has_error());
  EXPECT_EQ(in_flight.error().code(), ErrorCode::kUnavailable) << in_flight.error().describe();
  EXPECT_TRUE(outcome_unknown(in_flight.error()));
  EXPECT_FALSE(f.pool->available());
  for (int i = 0; i < 100; ++i) {  // those that come while it is silent
    auto refused = f.loop.run(f.pool->query(kOne, {}, Deadline::after(20s)));
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable) << refused.error().describe();
    EXPECT_FALSE(outcome_unknown(refused.error()));
  }
  server().resume();
  const auto deadline = Deadline::after(60s);
  while (!deadline.passed() && f.loop.run(f.pool->query(kOne, {}, deadline)).has_error())
    std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(deadline.passed());
}

TEST(Pool, ASilentServerIsFoundOutByTheFirstConnectionToo) {
  server().pause();
  Fixture f;
  static const Statement kOne{"one", "select 1"};
  auto refused = f.loop.run(f.pool->query(kOne, {}, Deadline::after(20s)));
  server().resume();
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable) << refused.error().describe();
}

TEST(Pool, ASlowStatementIsNoSilence) {
  Fixture f;
  static const Statement kSlow{"slow", "select pg_sleep(2)::text"};
  auto rows = f.loop.run(f.pool->query(kSlow, {}, Deadline::after(20s)));
  EXPECT_TRUE(rows.has_value()) << rows.error().describe();
}

TEST(Listener, HearsAndComesBack) {
  Loop loop;
  std::promise<std::string> heard;
  std::promise<void> ready, again;
  int connections = 0;
  Listener::Handlers handlers;
  handlers.notified = [&](std::string_view channel, std::string_view payload) {
    heard.set_value(std::string(channel) + "=" + std::string(payload));
  };
  handlers.connected = [&] {
    if (++connections == 1) ready.set_value();
    if (connections == 2) again.set_value();
  };
  Listener listener(loop.context.get_executor(), server().dsn(), {"merpati_test"}, handlers);
  listener.start();
  ASSERT_EQ(ready.get_future().wait_for(5s), std::future_status::ready);
  server().sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'merpati listen'");
  ASSERT_EQ(again.get_future().wait_for(5s), std::future_status::ready);
  server().sql("select pg_notify('merpati_test', 'hello')");
  auto future = heard.get_future();
  ASSERT_EQ(future.wait_for(5s), std::future_status::ready);
  EXPECT_EQ(future.get(), "merpati_test=hello");
  listener.close();
  loop.catch_up();
}

TEST(Migrate, SeveralAtOnceApplyEachScriptOnce) {
  const Migration kTable[] = {{1, "first", "create table things (id int); insert into things values (1);"},
                              {2, "second", "alter table things add note text; insert into things values (2);"}};
  server().sql("drop schema if exists wagon cascade");
  std::vector<std::future<Result<MigrationReport>>> all;
  for (int i = 0; i < 6; ++i)
    all.push_back(std::async(std::launch::async, [&] { return migrate(server().dsn(), "wagon", kTable); }));
  for (auto& item : all) {
    auto report = item.get();
    ASSERT_TRUE(report.has_value()) << report.error().describe();
    EXPECT_EQ(report->now, 2);
  }
  EXPECT_EQ(server().sql("select count(*) from wagon.things"), "2");
  EXPECT_TRUE(wait_migrated(server().dsn(), "wagon", kTable, 0ms).has_value());
}

TEST(Migrate, ANewerSchemaIsRefusedUnlessItSaysThatItIsCompatible) {
  const Migration kOld[] = {{1, "first", "create table a (id int)"}};
  const Migration kCompatible[] = {kOld[0], {2, "second", "create table b (id int)"}};
  const Migration kBreaking[] = {kCompatible[0], kCompatible[1], {3, "third", "-- min_compatible: 2\ndrop table a"}};
  server().sql("drop schema if exists cart cascade");
  ASSERT_TRUE(migrate(server().dsn(), "cart", kCompatible).has_value());
  EXPECT_TRUE(migrate(server().dsn(), "cart", kOld).has_value());
  ASSERT_TRUE(migrate(server().dsn(), "cart", kBreaking).has_value());
  EXPECT_TRUE(migrate(server().dsn(), "cart", kCompatible).has_value());
  auto refused = migrate(server().dsn(), "cart", kOld);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("version 3"), std::string::npos);
}

TEST(Migrate, ARefusalNamesTheReleaseThatMadeTheSchema) {
  const Migration kOld[] = {{1, "first", "create table a (id int)"}};
  const Migration kNew[] = {kOld[0], {2, "second", "-- min_compatible: 2\ndrop table a"}};
  server().sql("drop schema if exists barrow cascade");
  ASSERT_TRUE(migrate(server().dsn(), "barrow", kOld, "0.1.0").has_value());
  ASSERT_TRUE(migrate(server().dsn(), "barrow", kNew, "0.2.0").has_value());
  const std::string wanted = "schema barrow is at version 2, made by release 0.2.0, which needs";
  for (const auto& refused : {migrate(server().dsn(), "barrow", kOld, "0.1.0").error(),
                              wait_migrated(server().dsn(), "barrow", kOld, 5s).error()}) {
    EXPECT_EQ(refused.code(), ErrorCode::kFailedPrecondition);
    EXPECT_NE(refused.message().find(wanted), std::string::npos) << refused.message();
    EXPECT_NE(refused.message().find("run release 0.2.0 or newer"), std::string::npos) << refused.message();
  }
}

// Releases were not kept at first.
TEST(Migrate, ASchemaThatKnowsNoReleaseLearnsOfThem) {
  const Migration kOld[] = {{1, "first", "create table a (id int)"}};
  const Migration kNew[] = {kOld[0], {2, "second", "-- min_compatible: 2\ndrop table a"}};
  server().sql("drop schema if exists sleigh cascade");
  ASSERT_TRUE(migrate(server().dsn(), "sleigh", kOld).has_value());
  server().sql("alter table sleigh.schema_version drop column release");
  EXPECT_TRUE(migrate(server().dsn(), "sleigh", kOld).has_value()) << "nothing to do, so nothing to write";
  EXPECT_TRUE(wait_migrated(server().dsn(), "sleigh", kOld, 0ms).has_value());
  ASSERT_TRUE(migrate(server().dsn(), "sleigh", kNew, "0.2.0").has_value());
  EXPECT_EQ(server().sql("select string_agg(number || '=' || release, ' ' order by number) from sleigh.schema_version"),
            "1= 2=0.2.0");
}

TEST(Migrate, AFailingScriptLeavesNothingBehindAndNamesItself) {
  const Migration kBad[] = {{1, "broken", "create table leftover (id int); select nonsense;"}};
  server().sql("drop schema if exists sledge cascade");
  auto failed = migrate(server().dsn(), "sledge", kBad);
  ASSERT_TRUE(failed.has_error());
  EXPECT_NE(failed.error().message().find("sledge 0001_broken"), std::string::npos);
  EXPECT_EQ(server().sql("select to_regclass('sledge.leftover') is null"), "t");
}

}  // namespace
}  // namespace merpati::pg
