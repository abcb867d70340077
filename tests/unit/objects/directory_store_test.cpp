#include "merpati/objects/directory_store.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <set>

#include "unit/objects/run.hpp"

namespace merpati::objects {
namespace {

using namespace std::chrono_literals;

class DirectoryStoreTest : public testing::Test {
 protected:
  DirectoryStoreTest() {
    char name[] = "/tmp/merpati-objects-XXXXXX";
    root_ = ::mkdtemp(name);
    store_ = open();
  }
  ~DirectoryStoreTest() override { std::filesystem::remove_all(root_); }

  std::shared_ptr<ObjectStore> open() { return DirectoryStore::open({.root = root_}, pool_).value(); }
  std::size_t files_below(const std::filesystem::path& path) const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) count += entry.is_regular_file();
    return count;
  }
  Deadline soon() const { return Deadline::after(10s); }

  asio::thread_pool pool_{2};
  std::filesystem::path root_;
  std::shared_ptr<ObjectStore> store_;
};

TEST_F(DirectoryStoreTest, GivesBackWhatWasPutAlsoAfterReopening) {
  auto bytes = std::string("line\r\n\0\xff tail", 13);
  bytes.push_back('\0');
  ASSERT_TRUE(run(store_->put("blobs/ab/one", bytes, soon())));
  ASSERT_TRUE(run(store_->put("empty", "", soon())));
  store_ = open();
  EXPECT_EQ(run(store_->get("blobs/ab/one", {}, soon())).value(), bytes);
  EXPECT_EQ(run(store_->get("empty", {}, soon())).value(), "");
  EXPECT_EQ(run(store_->head("blobs/ab/one", soon())).value().size, bytes.size());
  EXPECT_EQ(files_below(root_ / "tmp"), 0U);
}

TEST_F(DirectoryStoreTest, RangesAreClippedAtTheEnd) {
  ASSERT_TRUE(run(store_->put("k", "0123456789", soon())));
  EXPECT_EQ(run(store_->get("k", {2, 3}, soon())).value(), "234");
  EXPECT_EQ(run(store_->get("k", {8, 100}, soon())).value(), "89");
  EXPECT_EQ(run(store_->get("k", {10, 1}, soon())).error().code(), ErrorCode::kOutOfRange);
}

TEST_F(DirectoryStoreTest, MissingAndRemoved) {
  EXPECT_EQ(run(store_->get("no", {}, soon())).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(run(store_->head("no", soon())).error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(run(store_->put("k", "x", soon())));
  EXPECT_TRUE(run(store_->remove("k", soon())));
  EXPECT_TRUE(run(store_->remove("k", soon())));
  EXPECT_EQ(run(store_->get("k", {}, soon())).error().code(), ErrorCode::kNotFound);
}

TEST_F(DirectoryStoreTest, KeysCannotLeaveTheDirectory) {
  const std::vector<std::string> bad = {"", "../x", ".", "/etc/passwd", "a b", "a\n", std::string(181, 'a'), "a+b"};
  for (const auto& key : bad)
    EXPECT_EQ(run(store_->put(key, "x", soon())).error().code(), ErrorCode::kInvalidArgument) << key;
  EXPECT_TRUE(run(store_->put("a/../../b", "x", soon())));  // one file name
  EXPECT_EQ(files_below(root_ / "objects"), 1U);
}

TEST_F(DirectoryStoreTest, ListsEachObjectOnceOverManyPages) {
  std::set<std::string> expected;
  for (int i = 0; i < 57; ++i) {
    const auto key = "blobs/" + std::to_string(i);
    ASSERT_TRUE(run(store_->put(key, std::string(i, 'x'), soon())));
    expected.insert(key);
  }
  ASSERT_TRUE(run(store_->put("packs/1", "p", soon())));
  std::set<std::string> seen;
  std::string next;
  int pages = 0;
  do {
    auto page = run(store_->list("blobs/", next, 10, soon())).value();
    for (const auto& object : page.objects) EXPECT_TRUE(seen.insert(object.key).second) << object.key;
    next = page.next;
    ++pages;
  } while (!next.empty());
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(pages, 6);
}

TEST_F(DirectoryStoreTest, RemoveManyTellsWhichFailed) {
  ASSERT_TRUE(run(store_->put("a", "x", soon())));
  const auto failures = run(store_->remove_many({"a", "missing", "not a key"}, soon())).value();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures[0].key, "not a key");
  EXPECT_EQ(run(store_->head("a", soon())).error().code(), ErrorCode::kNotFound);
}

TEST_F(DirectoryStoreTest, WriterPublishesAtCommitOnly) {
  {
    auto writer = run(store_->open_writer("big", soon())).value();
    ASSERT_TRUE(run(writer->write("half", soon())));
    EXPECT_EQ(run(store_->head("big", soon())).error().code(), ErrorCode::kNotFound);
  }
  EXPECT_EQ(files_below(root_), 0U);
  auto writer = run(store_->open_writer("big", soon())).value();
  ASSERT_TRUE(run(writer->write("one,", soon())));
  ASSERT_TRUE(run(writer->write("two", soon())));
  ASSERT_TRUE(run(writer->commit(soon())));
  EXPECT_EQ(run(store_->get("big", {}, soon())).value(), "one,two");
  EXPECT_EQ(run(writer->write("three", soon())).error().code(), ErrorCode::kFailedPrecondition);
}

TEST_F(DirectoryStoreTest, NoSpaceIsToldAndLeavesNothing) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto put = run(store_->put("k", std::string(5000, 'x'), soon()));
  auto writer = run(store_->open_writer("w", soon())).value();
  const auto first = run(writer->write(std::string(4000, 'x'), soon()));
  const auto second = run(writer->write(std::string(4000, 'x'), soon()));
  const auto committed = run(writer->commit(soon()));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(put.has_error());
  EXPECT_EQ(put.error().code(), ErrorCode::kResourceExhausted) << put.error().describe();
  EXPECT_TRUE(first);
  EXPECT_EQ(second.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_TRUE(committed.has_error());
  EXPECT_EQ(files_below(root_), 0U);
}

TEST_F(DirectoryStoreTest, AbandonedDraftsAreGivenBackByAge) {
  auto writer = run(store_->open_writer("w", soon())).value();
  ASSERT_TRUE(run(writer->write("x", soon())));
  EXPECT_EQ(run(store_->remove_abandoned(1h, soon())).value(), 0U);
  EXPECT_EQ(run(store_->remove_abandoned(-1h, soon())).value(), 1U);
  EXPECT_EQ(files_below(root_), 0U);
}

TEST_F(DirectoryStoreTest, APassedDeadlineStartsNothing) {
  EXPECT_EQ(run(store_->put("k", "x", Deadline::after(-1s))).error().code(), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(files_below(root_), 0U);
}

TEST_F(DirectoryStoreTest, AnUnusableDirectoryIsRefusedAtTheStart) {
  const auto opened = DirectoryStore::open({.root = "/proc/merpati"}, pool_);
  ASSERT_TRUE(opened.has_error());
  EXPECT_EQ(opened.error().code(), ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace merpati::objects
