// Cold bodies move into packs, and whoever reads, copies, delivers, expunges or crashes meanwhile sees nothing of it.
#include <cstdlib>

#include "packer_fixture.hpp"

namespace merpati::store {
namespace {

class PackerTest : public ::testing::Test, protected PackedStore {};

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
  Inside small(postgres.dsn(), Inside::directory(s.objects()), 8000);
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
  Inside other(postgres.dsn(), Inside::directory(s.objects()));
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
  Inside inside(dsn, Inside::directory(root));
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
