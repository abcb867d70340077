// Cold bodies move into packs, and whoever reads, copies, delivers, expunges or crashes meanwhile sees nothing of it.
#include "store/packer.hpp"

#include <cstdlib>
#include <functional>

#include "merpati/objects/directory_store.hpp"
#include "store/collector.hpp"
#include "store/content.hpp"
#include "store_fixture.hpp"

namespace merpati::store {
namespace {

/// Does something between the upload of an object and what the caller makes of it.
class Interrupting : public objects::ObjectStore {
 public:
  explicit Interrupting(std::shared_ptr<objects::ObjectStore> under) : under_(std::move(under)) {}
  std::function<void()> after_commit;

  Task<void> put(std::string key, std::string bytes, Deadline d) override {
    co_return co_await under_->put(std::move(key), std::move(bytes), d);
  }
  Task<std::unique_ptr<objects::ObjectWriter>> open_writer(std::string key, Deadline d) override {
    MERPATI_CO_TRY(auto writer, co_await under_->open_writer(std::move(key), d));
    co_return std::make_unique<Writer>(*this, std::move(writer));
  }
  Task<std::string> get(std::string key, objects::Range range, Deadline d) override {
    ++gets;
    co_return co_await under_->get(std::move(key), range, d);
  }
  Task<objects::ObjectInfo> head(std::string key, Deadline d) override {
    co_return co_await under_->head(std::move(key), d);
  }
  Task<void> remove(std::string key, Deadline d) override { co_return co_await under_->remove(std::move(key), d); }
  Task<std::vector<objects::RemoveFailure>> remove_many(std::vector<std::string> keys, Deadline d) override {
    co_return co_await under_->remove_many(std::move(keys), d);
  }
  Task<objects::ListPage> list(std::string prefix, std::string next, std::size_t limit, Deadline d) override {
    co_return co_await under_->list(std::move(prefix), std::move(next), limit, d);
  }
  Task<std::size_t> remove_abandoned(std::chrono::seconds age, Deadline d) override {
    co_return co_await under_->remove_abandoned(age, d);
  }
  Task<void> check(Deadline d) override { co_return co_await under_->check(d); }
  int gets = 0;

 private:
  struct Writer : objects::ObjectWriter {
    Writer(Interrupting& o, std::unique_ptr<objects::ObjectWriter> u) : owner(o), under(std::move(u)) {}
    Task<void> write(std::string bytes, Deadline d) override { co_return co_await under->write(std::move(bytes), d); }
    Task<void> commit(Deadline d) override {
      MERPATI_CO_CHECK(co_await under->commit(d));
      if (owner.after_commit) owner.after_commit();
      co_return Result<void>();
    }
    Interrupting& owner;
    std::unique_ptr<objects::ObjectWriter> under;
  };
  std::shared_ptr<objects::ObjectStore> under_;
};

/// The store's inside in a process of its own, beside the fixture's module, whose packer is off.
struct Inside {
  Inside(const std::string& dsn, const std::filesystem::path& root, std::uint64_t pack_size = 1 << 20)
      : process(runtime::ProcessOptions{}),
        pool({process.loops().main()}, options(dsn)),
        group(process.loops().main()),
        core(pool, process.blocking(), group, settings(pack_size)) {
    if (!process.start()) throw std::runtime_error("the process does not start");
    objects::DirectoryOptions directory;
    directory.root = root;
    objects = std::make_shared<Interrupting>(*objects::DirectoryStore::open(directory, process.blocking()));
    core.objects = objects;
  }
  ~Inside() {
    pool.close();
    process.stop();
  }
  static pg::PoolOptions options(const std::string& dsn) {
    pg::PoolOptions out;
    out.dsn = dsn;
    out.schema = "store";
    out.settings["enable_seqscan"] = "off";
    return out;
  }
  static Settings settings(std::uint64_t pack_size) {
    Settings out;
    out.pack_after = std::chrono::hours(24);
    out.pack_size = pack_size;
    return out;
  }
  runtime::Process process;
  pg::Pool pool;
  TaskGroup group;
  Core core;
  std::shared_ptr<Interrupting> objects;
};

class PackerTest : public ::testing::Test {
 protected:
  Packed pack(std::chrono::hours later = std::chrono::hours(72)) {
    return s.get(pack_once(inside.core, Clock::system().wall() + later));
  }
  void collect(std::chrono::hours later) { s.get(collect_once(inside.core, Clock::system().wall() + later)); }
  /// Delivers texts of several sizes and kinds and notes what must be read back.
  void fill(std::int64_t account, int count, const std::string& name = "m") {
    for (int i = 0; i < count; ++i) {
      std::string text = "line " + std::to_string(i) + " " + to_base64(random_bytes(3000)) + "\r\n";
      if (i % 4 == 1) text = std::string(20'000, 'z') + " needle" + std::to_string(i) + "\r\n";
      if (i % 4 == 2) text = "short\r\n";
      if (i % 4 == 3) text = std::string("with\0nul ", 9) + std::to_string(i) + "\r\n";
      const auto result = s.deliver(account, mail(name + std::to_string(i), text));
      ASSERT_EQ(result.status(), v1::DeliverResult::STATUS_DELIVERED);
      box = result.mailbox_id();
      expected[{account, result.uid()}] = s.content(account, box, result.uid());
    }
  }
  /// Without what this process keeps in memory.
  void restart() {
    s.stop();
    s.start();
  }
  void check() {
    for (const auto& [key, octets] : expected)
      EXPECT_EQ(s.content(key.first, box, key.second), octets) << key.first << " " << key.second;
  }
  void expunge(std::int64_t account, std::uint32_t first, std::uint32_t last) {
    v1::StoreFlagsRequest flags;
    flags.set_account_id(account);
    flags.set_mailbox_id(box);
    flags.set_mode(v1::StoreFlagsRequest::MODE_ADD);
    flags.set_flags(v1::SYSTEM_FLAG_DELETED);
    add_range(flags.mutable_uids(), first, last);
    s.get(s.imap().store_flags(flags, s.as(account)));
    v1::ExpungeRequest request;
    request.set_account_id(account);
    request.set_mailbox_id(box);
    s.get(s.imap().expunge(request, s.as(account)));
    for (auto uid = first; uid <= last; ++uid) expected.erase({account, uid});
  }
  std::string sql(const std::string& text) { return postgres.sql(text); }
  std::size_t stored_packs() {
    return s.get(inside.objects->list("packs/", "", 1000, Deadline::after(5s))).objects.size();
  }

  test::Postgres postgres;
  StoreFixture s{postgres};
  Inside inside{postgres.dsn(), s.objects()};
  std::int64_t box = 0;
  std::map<std::pair<std::int64_t, std::uint32_t>, std::string> expected;
};

TEST_F(PackerTest, WhatIsPackedIsReadAsBefore) {
  fill(1, 12);
  fill(2, 8);
  EXPECT_EQ(pack(std::chrono::hours(1)).packs, 0);   // not cold
  EXPECT_EQ(pack(std::chrono::hours(30)).packs, 0);  // cold, but a pack would be small, and nothing waits for long
  const auto packed = pack();
  EXPECT_EQ(packed.packs, 1);
  EXPECT_EQ(packed.bodies, 20);
  EXPECT_EQ(pack().packs, 0);
  EXPECT_EQ(sql("select count(*) from store.bodies where pack is null or octets <> ''"), "0");
  EXPECT_EQ(sql("select live = size and unused_since is null from store.packs"), "t");
  // One account's mail is together and in order.
  EXPECT_EQ(sql("select string_agg(account_id::text, '' order by pack_offset) from store.bodies"),
            std::string(12, '1') + std::string(8, '2'));
  restart();
  check();

  // Neighbours come with one request.
  const auto together =
      s.get(load_sources(inside.core, 1, box, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, Deadline::after(10s)));
  EXPECT_EQ(together.by_uid.size(), 12u);
  EXPECT_EQ(inside.objects->gets, 1);

  v1::ReadContentRequest range;
  range.set_account_id(1);
  range.set_mailbox_id(box);
  range.add_ranges()->set_uid(2);
  range.mutable_ranges(0)->set_offset(300);
  range.mutable_ranges(0)->set_length(500);
  restart();
  EXPECT_EQ(s.get(s.imap().read_content(range, s.as(1))).contents(0).octets(), (expected[{1, 2}].substr(300, 500)));
  range.mutable_ranges(0)->set_uid(4);
  range.mutable_ranges(0)->set_verbatim(true);
  range.mutable_ranges(0)->set_offset(0);
  range.mutable_ranges(0)->set_length(0);
  EXPECT_NE(s.get(s.imap().read_content(range, s.as(1))).contents(0).octets().find(std::string("with\0nul 3", 10)),
            std::string::npos);

  v1::SearchRequest search;
  search.set_account_id(1);
  search.set_mailbox_id(box);
  search.mutable_key()->set_text("needle5");
  restart();
  const auto hits = s.get(s.imap().search(search, s.as(1)));
  ASSERT_EQ(hits.uids_size(), 1);
  EXPECT_EQ(hits.uids(0).first(), 6u);

  v1::FetchMessagesRequest fetch;
  fetch.set_account_id(1);
  fetch.set_mailbox_id(box);
  fetch.mutable_mask()->set_header(true);
  restart();
  const auto rows = s.get(s.imap().read_messages(fetch, s.as(1)));
  ASSERT_GT(rows.rows_size(), 0);
  EXPECT_NE(rows.rows(0).header().find("Subject: m0"), std::string::npos);
}

TEST_F(PackerTest, APackIsCutAtItsSize) {
  Inside small(postgres.dsn(), s.objects(), 8000);
  fill(1, 12);
  const auto packed = s.get(pack_once(small.core, Clock::system().wall() + std::chrono::hours(72)));
  EXPECT_GT(packed.packs, 1);
  EXPECT_EQ(packed.bodies, 12);
  EXPECT_EQ(sql("select max(size) <= 8000 from store.packs"), "t");
  restart();
  check();
}

TEST_F(PackerTest, OnePacksAtATime) {
  fill(1, 4);
  Inside other(postgres.dsn(), s.objects());
  EXPECT_EQ(pack(std::chrono::hours(1)).packs, 0);  // but it has the lease
  EXPECT_EQ(s.get(pack_once(other.core, Clock::system().wall() + std::chrono::hours(72))).packs, 0);
  EXPECT_EQ(pack().packs, 1);
}

TEST_F(PackerTest, WithoutTheObjectStoreOnlyPackedOctetsAreAway) {
  fill(1, 4);
  pack();
  const auto fresh = s.deliver(1, mail("fresh"));
  restart();
  const std::filesystem::path root = s.objects(), away = s.objects().string() + "-away";
  std::filesystem::rename(root, away);
  v1::ReadContentRequest read;
  read.set_account_id(1);
  read.set_mailbox_id(box);
  read.add_ranges()->set_uid(1);
  const auto refused = s.run(s.imap().read_content(read, s.as(1)));
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable) << refused.error().describe();
  EXPECT_EQ(s.run(s.pop3().read_content(read, s.as(1))).error().code(), ErrorCode::kUnavailable);
  v1::SearchRequest search;
  search.set_account_id(1);
  search.set_mailbox_id(box);
  search.mutable_key()->set_text("needle1");
  EXPECT_EQ(s.run(s.imap().search(search, s.as(1))).error().code(), ErrorCode::kUnavailable);

  EXPECT_NE(s.content(1, box, fresh.uid()).find("Subject: fresh"), std::string::npos);
  v1::FetchMessagesRequest fetch;
  fetch.set_account_id(1);
  fetch.set_mailbox_id(box);
  fetch.mutable_mask()->set_envelope(true);
  EXPECT_EQ(s.get(s.imap().read_messages(fetch, s.as(1))).rows_size(), 5);
  // The same octets once more: the row counts them, the pack keeps them.
  const auto again = s.deliver(1, mail("m2", "short\r\n"));
  EXPECT_EQ(again.status(), v1::DeliverResult::STATUS_DELIVERED);
  v1::CopyMessagesRequest copy;
  copy.set_account_id(1);
  copy.set_mailbox_id(box);
  copy.set_to("Archive");
  add_range(copy.mutable_uids(), 1, 5);
  const auto copied = s.get(s.imap().copy_messages(copy, s.as(1)));
  std::filesystem::rename(away, root);
  check();
  EXPECT_EQ(s.content(1, box, again.uid()), (expected[{1, 3}]));
  for (std::uint32_t uid = 1; uid <= 4; ++uid) EXPECT_EQ(s.content(1, copied.mailbox_id(), uid), (expected[{1, uid}]));
}

TEST_F(PackerTest, WhatChangesWhileItIsUploadedStaysTrue) {
  fill(1, 8);
  const auto kept = mail("m2", "short\r\n");
  inside.objects->after_commit = [&] {
    inside.objects->after_commit = nullptr;
    // As a delivery, an expunge with its collection, and the same mail anew would leave them.
    postgres.sql("update store.bodies set refs = refs + 1 where blob_id = '\\x" + to_hex(sha256(kept)) + "'");
    postgres.sql(
        "update store.bodies set refs = 0, unused_since = now() where blob_id = (select blob_id from store.messages "
        "where account_id = 1 and uid = 1)");
    postgres.sql(
        "update store.bodies set stored_at = now() where blob_id = (select blob_id from store.messages "
        "where account_id = 1 and uid = 2)");
  };
  const auto packed = pack();
  EXPECT_EQ(packed.bodies, 6);
  EXPECT_EQ(sql("select refs::text || (pack is not null)::text from store.bodies where blob_id = '\\x" +
                to_hex(sha256(kept)) + "'"),
            "2true");
  EXPECT_EQ(sql("select count(*) from store.bodies where pack is null and octets <> ''"), "2");
  EXPECT_EQ(sql("select live = (select sum(pack_length) from store.bodies) and live < size from store.packs"), "t");
  restart();
  check();
}

TEST_F(PackerTest, ARowThatIsLockedIsNotWaitedFor) {
  fill(1, 3);
  PGconn* other = PQconnectdb(postgres.dsn().c_str());
  PQclear(PQexec(other, "begin"));
  PQclear(PQexec(other,
                 "select 1 from store.bodies where blob_id = (select blob_id from store.messages where uid = 3) "
                 "for update"));
  EXPECT_EQ(pack().bodies, 2);
  PQclear(PQexec(other, "rollback"));
  PQfinish(other);
  restart();
  check();
  EXPECT_EQ(pack().bodies, 1);
  restart();
  check();
}

TEST_F(PackerTest, APackThatNothingUsesIsRemoved) {
  fill(1, 6);
  pack();
  expunge(1, 1, 6);
  collect(std::chrono::hours(1));
  EXPECT_EQ(stored_packs(), 1u);  // who still sees them may read them
  EXPECT_NE(s.content(1, box, 1), "");
  collect(std::chrono::hours(25));  // references, then rows
  collect(std::chrono::hours(25));
  EXPECT_EQ(sql("select count(*) from store.bodies"), "0");
  EXPECT_EQ(sql("select count(*) from store.packs"), "0");
  EXPECT_EQ(stored_packs(), 0u);
}

TEST_F(PackerTest, APackThatIsLessThanHalfAliveIsPackedAnew) {
  fill(1, 12);
  fill(2, 4);
  pack();
  const auto old = sql("select id from store.packs");
  expunge(1, 1, 10);
  collect(std::chrono::hours(25));
  collect(std::chrono::hours(25));
  EXPECT_EQ(sql("select count(*) from store.bodies"), "6");
  ASSERT_EQ(sql("select live > 0 and live * 2 < size from store.packs"), "t");
  const auto packed = pack();
  EXPECT_EQ(packed.packs, 1);
  EXPECT_EQ(packed.bodies, 6);
  EXPECT_EQ(sql("select live from store.packs where id = '" + old + "'"), "0");
  restart();
  check();
  collect(std::chrono::hours(1));
  EXPECT_EQ(sql("select count(*) from store.packs where live = size"), "1");
  EXPECT_EQ(stored_packs(), 1u);
  restart();
  check();
}

/// Run by the tests below in a process of its own, which a fail point kills.
TEST(PackerProcess, DISABLED_PacksUntilItIsKilled) {
  const char* dsn = std::getenv("PACKER_DSN");
  const char* root = std::getenv("PACKER_OBJECTS");
  ASSERT_TRUE(dsn && root);
  Inside inside(dsn, root);
  const auto done = runtime::block_on(inside.process.loops().next(),
                                      pack_once(inside.core, Clock::system().wall() + std::chrono::hours(72)));
  EXPECT_TRUE(done.has_value());
}

TEST_F(PackerTest, AProcessKilledWhilePackingLosesNothing) {
#ifndef MERPATI_FAIL_POINTS
  GTEST_SKIP() << "NOT RUN: built without fail points";
#endif
  fill(1, 6);
  // More than one transaction moves them.
  for (int i = 0; i < 600; ++i) {
    const auto request = s.delivery(mail("n" + std::to_string(i), "n\r\n"), {2});
    s.get(s.smtp().deliver(request));
  }
  expected[{2, 1}] = s.content(2, box, 1);
  expected[{2, 600}] = s.content(2, box, 600);
  for (const std::string where : {"pack_after_put=kill", "pack_after_commit=kill@1"}) {
    const std::string command = "PACKER_DSN='" + postgres.dsn() + "' PACKER_OBJECTS='" + s.objects().string() +
                                "' MERPATI_FAIL_POINTS_ACTIVE=" + where + " " +
                                std::filesystem::read_symlink("/proc/self/exe").string() +
                                " --gtest_also_run_disabled_tests --gtest_filter='PackerProcess.*' > /dev/null 2>&1";
    const int status = std::system(command.c_str());
    EXPECT_EQ(WEXITSTATUS(status), 128 + SIGKILL) << where;
    restart();
    check();
    sql("update store.packer_lease set until = '-infinity'");
  }
  EXPECT_EQ(stored_packs(), 2u);
  EXPECT_EQ(sql("select count(*) from store.bodies where pack is not null"), "500");
  EXPECT_EQ(pack().bodies, 106);
  restart();
  check();
  collect(std::chrono::hours(1));  // the upload that nobody referred to
  EXPECT_EQ(stored_packs(), 2u);
  EXPECT_EQ(sql("select count(*) from store.packs where live <= 0"), "0");
  restart();
  check();
}

}  // namespace
}  // namespace merpati::store
