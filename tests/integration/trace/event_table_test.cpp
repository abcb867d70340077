// The table of events in a real PostgreSQL, made by the migration of the queue.
#include "merpati/trace/event_table.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "merpati/base/ids.hpp"
#include "merpati/pg/migration.hpp"
#include "merpati/runtime/span.hpp"
#include "merpati/trace/recorder.hpp"
#include "support/loop.hpp"
#include "support/postgres.hpp"

namespace merpati::trace {
namespace {

using namespace std::chrono_literals;

std::string read(const std::string& path) {
  std::ifstream file(std::string(MERPATI_SOURCE_DIR) + "/" + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class Table : public testing::Test {
 protected:
  Table() {
    static test::Postgres server;
    static const std::string sql = read("services/queue/migrations/0004_trace_events.sql");
    schema_ = "t" + runtime::new_trace_id().substr(0, 12);
    const pg::Migration migration{1, "trace_events", sql.c_str()};
    EXPECT_TRUE(pg::migrate(server.dsn(), schema_, std::span(&migration, 1)).has_value());
    pg::PoolOptions options;
    options.dsn = server.dsn();
    options.schema = schema_;
    pool_ = std::make_unique<pg::Pool>(std::vector<asio::any_io_executor>{loop_.context.get_executor()}, options);
    table_ = std::make_unique<EventTable>(*pool_, EventTable::Mailboxes::kUnknown);
  }
  ~Table() override {
    pool_.reset();
    loop_.catch_up();
  }
  template <class T>
  Result<T> run(Task<T> task) {
    return loop_.run(std::move(task));
  }
  pg::Rows sql(const std::string& text) {
    statements_.push_back(std::make_unique<pg::Statement>("test_" + std::to_string(statements_.size()), text));
    return run(pool_->write(*statements_.back())).value();
  }
  std::vector<std::string> partitions() {
    std::vector<std::string> names;
    for (const auto row : sql("select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid where "
                              "i.inhparent = 'trace_events'::regclass order by 1"))
      names.emplace_back(row.text(0));
    return names;
  }
  std::vector<v1::Event> find(v1::FindEventsRequest request) {
    const auto found = run(table_->find(request, soon())).value();
    return {found.events().begin(), found.events().end()};
  }
  static Deadline soon() { return Deadline::after(10s); }

  test::Loop loop_;
  std::string schema_;
  std::unique_ptr<pg::Pool> pool_;
  std::unique_ptr<EventTable> table_;
  std::vector<std::unique_ptr<pg::Statement>> statements_;
};

v1::Event whole_event(const std::string& trace_id) {
  auto out = event(v1::KIND_SENT, trace_id);
  out.set_service("queue");
  out.set_host("pod-1");
  out.set_delivery_id(new_uuid());
  out.set_message_id("a.b@c.test");
  out.set_reverse_path("from@c.test");
  out.set_recipient("to@d.test");
  out.set_account_id(1);
  out.set_mailbox_id(2);
  out.set_mailbox("INBOX");
  out.set_uid(3);
  out.set_item_id(4);
  out.set_attempt(5);
  out.set_code(250);
  out.set_status("2.0.0");
  out.set_text("queued as \xc3\xa9");
  out.set_peer("mx.d.test");
  out.set_size(6);
  out.set_detail("detail");
  return out;
}

TEST_F(Table, MakesPartitionsAheadAndDropsOldOnes) {
  EXPECT_EQ(run(table_->care(14, soon())).value(), 4);
  EXPECT_EQ(partitions().size(), 4U);
  EXPECT_EQ(run(table_->care(14, soon())).value(), 0) << "nothing to do";
  sql("create table trace_events_20200101 partition of trace_events for values from ('2020-01-01') to ('2020-01-02')");
  const auto kept = sql("select 'trace_events_' || to_char((now() at time zone 'UTC')::date - 14, 'YYYYMMDD')");
  const std::string oldest(kept.front().text(0));
  sql("create table " + oldest +
      " partition of trace_events for values from (((now() at time zone 'UTC')::date - 14)::"
      "timestamp at time zone 'UTC') to (((now() at time zone 'UTC')::date - 13)::timestamp at time zone 'UTC')");
  EXPECT_EQ(run(table_->care(14, soon())).value(), 1);
  EXPECT_EQ(partitions().front(), oldest) << "14 days are kept, what is older is gone";
}

TEST_F(Table, AnotherReplicaAtItIsLeftAlone) {
  static const pg::Statement kHold{"hold",
                                   "select pg_advisory_lock(hashtext(current_schema() || '.trace_events'))::text"};
  pg::PoolOptions options = pool_->options();
  options.application_name = "other";
  pg::Pool other({loop_.context.get_executor()}, options);
  ASSERT_TRUE(run(other.write(kHold)).has_value());
  EXPECT_EQ(run(table_->care(14, soon())).value(), 0);
  other.close();
  loop_.catch_up();
}

TEST_F(Table, GivesBackEveryFieldByEveryKey) {
  ASSERT_TRUE(run(table_->care(14, soon())).has_value());
  const std::string id = runtime::new_trace_id();
  const auto sent = whole_event(id);
  ASSERT_TRUE(run(table_->write({sent, whole_event(runtime::new_trace_id())}, soon())).has_value());
  auto of_item = event(v1::KIND_QUEUED, id);
  of_item.set_item_id(4711);
  ASSERT_TRUE(run(table_->write({of_item}, soon())).has_value());
  v1::FindEventsRequest by_trace, by_message, by_item, by_other;
  by_trace.add_trace_ids(id);
  by_message.set_message_id("a.b@c.test");
  by_item.set_item_id(4711);
  by_other.set_message_id("A.b@c.test");
  ASSERT_EQ(find(by_trace).size(), 2U);
  EXPECT_EQ(find(by_trace)[0].DebugString(), sent.DebugString());
  EXPECT_EQ(find(by_message).size(), 2U);
  ASSERT_EQ(find(by_item).size(), 1U);
  EXPECT_EQ(find(by_item)[0].DebugString(), of_item.DebugString());
  EXPECT_TRUE(find(by_other).empty()) << "identifiers differ by case";
}

TEST_F(Table, TakesNothingElseWithTheSameKey) {
  ASSERT_TRUE(run(table_->care(14, soon())).has_value());
  ASSERT_TRUE(run(table_->write({whole_event(runtime::new_trace_id())}, soon())).has_value());
  v1::FindEventsRequest request;
  request.set_message_id("another@c.test");
  ASSERT_TRUE(run(table_->write({[] {
                                  auto other = whole_event(runtime::new_trace_id());
                                  other.set_message_id("another@c.test");
                                  return other;
                                }()},
                                soon()))
                  .has_value());
  sql("update trace_events set key = (select key from trace_events order by at desc limit 1)");
  EXPECT_EQ(find(request).size(), 1U);
}

TEST_F(Table, NamesMailboxesAsTheyAreCalledNow) {
  ASSERT_TRUE(run(table_->care(14, soon())).has_value());
  sql("create table mailboxes (account_id bigint, id bigint, name text)");
  sql("insert into mailboxes values (1, 2, 'Archive')");
  const std::string id = runtime::new_trace_id();
  auto there = whole_event(id), gone = whole_event(id);
  there.clear_mailbox();
  gone.clear_mailbox();
  gone.set_mailbox_id(3);
  ASSERT_TRUE(run(table_->write({there, gone}, soon())).has_value());
  v1::FindEventsRequest request;
  request.add_trace_ids(id);
  EventTable named(*pool_, EventTable::Mailboxes::kNamed);
  const auto found = run(named.find(request, soon())).value();
  ASSERT_EQ(found.events_size(), 2);
  EXPECT_EQ(found.events(0).mailbox() + found.events(1).mailbox(), "Archive");
}

TEST_F(Table, KeepsWhatAWrongClockSays) {
  ASSERT_TRUE(run(table_->care(14, soon())).has_value());
  const std::string id = runtime::new_trace_id();
  auto early = whole_event(id), late = whole_event(id);
  early.set_at_us(1);
  late.set_at_us(late.at_us() + 365LL * 86400 * 1'000'000);
  ASSERT_TRUE(run(table_->write({early, late, whole_event(id)}, soon())).has_value());
  v1::FindEventsRequest request;
  request.add_trace_ids(id);
  EXPECT_EQ(find(request).size(), 3U);
}

TEST_F(Table, SaysThatThereIsMore) {
  ASSERT_TRUE(run(table_->care(14, soon())).has_value());
  const std::string id = runtime::new_trace_id();
  ASSERT_TRUE(run(table_->write({whole_event(id), whole_event(id)}, soon())).has_value());
  v1::FindEventsRequest request;
  request.add_trace_ids(id);
  request.set_limit(2);
  EXPECT_FALSE(run(table_->find(request, soon())).value().truncated());
  request.set_limit(1);
  EXPECT_TRUE(run(table_->find(request, soon())).value().truncated());
  EXPECT_EQ(find(request).size(), 1U);
  auto long_one = whole_event(id);
  long_one.set_text(std::string(600'000, 'x'));
  ASSERT_TRUE(run(table_->write({long_one, long_one}, soon())).has_value());
  request.set_limit(0);
  EXPECT_TRUE(run(table_->find(request, soon())).value().truncated()) << "an answer has room for 1 MiB";
}

TEST_F(Table, UsesItsIndexes) {
  ASSERT_TRUE(run(table_->care(14, soon())).has_value());
  for (const char* condition : {"trace_id = '00000000-0000-7000-8000-000000000000'", "key = 5"}) {
    std::string plan;
    for (const auto row : sql(std::string("select set_config('enable_seqscan', 'off', false)"))) static_cast<void>(row);
    for (const auto row : sql(std::string("explain select * from trace_events where ") + condition))
      plan += std::string(row.text(0)) + "\n";
    EXPECT_EQ(plan.find("Seq Scan"), std::string::npos) << plan;
  }
}

TEST_F(Table, RefusesWhatIsNoId) {
  v1::FindEventsRequest request;
  EXPECT_EQ(run(table_->find(request, soon())).error().code(), ErrorCode::kInvalidArgument);
  request.add_trace_ids("xyz");
  EXPECT_EQ(run(table_->find(request, soon())).error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace merpati::trace
