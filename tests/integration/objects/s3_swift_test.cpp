// S3Store against a real S3 endpoint: OpenStack Swift with s3api.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "merpati/base/encoding.hpp"
#include "merpati/objects/s3_store.hpp"
#include "support/not_run.hpp"
#include "support/swift.hpp"
#include "unit/objects/run.hpp"

namespace merpati::objects {
namespace {

using namespace std::chrono_literals;

class S3Swift : public testing::Test {
 protected:
  static void SetUpTestSuite() { swift_ = std::make_unique<test::Swift>(); }
  static void TearDownTestSuite() { swift_.reset(); }

  void SetUp() override {
    if (!swift_->endpoint().empty()) return;
    test::print_not_run("swift", swift_->reason());
    if (test::required("swift") || test::required("integration")) FAIL() << "required, but: " << swift_->reason();
    GTEST_SKIP() << swift_->reason();
  }

  static S3Options options(const std::string& secret = "testing") {
    S3Options out;
    out.endpoint = swift_->endpoint();
    out.bucket = "mail";
    out.key_prefix = "test/";
    out.credentials = [secret]() -> Result<Credentials> { return Credentials{"test:tester", secret, ""}; };
    return out;
  }
  static Deadline soon() { return Deadline::after(30s); }

  static std::unique_ptr<test::Swift> swift_;
};
std::unique_ptr<test::Swift> S3Swift::swift_;

TEST_F(S3Swift, PutGetHeadRemove) {
  const auto store = S3Store::open(options()).value();
  ASSERT_TRUE(run(store->check(soon())));
  const auto bytes = random_bytes(200'000);
  const auto put = run(store->put("blobs/one", bytes, soon()));
  ASSERT_TRUE(put) << put.error().describe();
  EXPECT_TRUE(run(store->get("blobs/one", {}, soon())).value() == bytes);
  EXPECT_EQ(run(store->get("blobs/one", {1000, 64}, soon())).value(), bytes.substr(1000, 64));
  EXPECT_EQ(run(store->get("blobs/one", {199'990, 64}, soon())).value(), bytes.substr(199'990));
  EXPECT_EQ(run(store->get("blobs/one", {200'000, 1}, soon())).error().code(), ErrorCode::kOutOfRange);
  const auto info = run(store->head("blobs/one", soon())).value();
  EXPECT_EQ(info.size, bytes.size());
  EXPECT_LT(std::chrono::abs(info.modified - std::chrono::system_clock::now()), 10min);
  EXPECT_TRUE(run(store->remove("blobs/one", soon())));
  EXPECT_TRUE(run(store->remove("blobs/one", soon())));
  EXPECT_EQ(run(store->get("blobs/one", {}, soon())).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(run(store->head("blobs/one", soon())).error().code(), ErrorCode::kNotFound);
}

TEST_F(S3Swift, AnEmptyObject) {
  const auto store = S3Store::open(options()).value();
  ASSERT_TRUE(run(store->put("empty", "", soon())));
  EXPECT_EQ(run(store->get("empty", {}, soon())).value(), "");
  EXPECT_EQ(run(store->get("empty", {0, 10}, soon())).value(), "");
  EXPECT_TRUE(run(store->remove("empty", soon())));
}

TEST_F(S3Swift, ListsInPagesAndRemovesInBatches) {
  const auto store = S3Store::open(options()).value();
  std::vector<std::string> keys;
  for (int i = 0; i < 23; ++i) {
    keys.push_back("list/" + std::to_string(i));
    ASSERT_TRUE(run(store->put(keys.back(), std::string(i, 'x'), soon())));
  }
  ASSERT_TRUE(run(store->put("other/1", "x", soon())));
  std::set<std::string> seen;
  std::string next;
  int pages = 0;
  do {
    auto page = run(store->list("list/", next, 10, soon())).value();
    for (const auto& object : page.objects) EXPECT_TRUE(seen.insert(object.key).second);
    next = page.next;
    ++pages;
  } while (!next.empty() && pages < 10);
  EXPECT_EQ(seen, std::set<std::string>(keys.begin(), keys.end()));
  EXPECT_EQ(pages, 3);
  keys.push_back("list/never-was");
  const auto failures = run(store->remove_many(keys, soon()));
  ASSERT_TRUE(failures) << failures.error().describe();
  EXPECT_TRUE(failures->empty()) << failures->front().error.describe();
  EXPECT_TRUE(run(store->list("list/", "", 10, soon())).value().objects.empty());
  EXPECT_EQ(run(store->list("other/", "", 10, soon())).value().objects.size(), 1U);
  EXPECT_TRUE(run(store->remove("other/1", soon())));
}

TEST_F(S3Swift, ALargeBodyGoesInParts) {
  const auto store = S3Store::open([&] {
                       auto some = options();
                       some.part_bytes = 5ULL * 1024 * 1024;  // the least that S3 allows
                       return some;
                     }())
                         .value();
  const auto bytes = random_bytes(12'345'678);
  auto writer = run(store->open_writer("packs/1", soon())).value();
  for (std::size_t at = 0; at < bytes.size(); at += 1'000'000) {
    const auto written = run(writer->write(bytes.substr(at, 1'000'000), soon()));
    ASSERT_TRUE(written) << written.error().describe();
  }
  EXPECT_EQ(run(store->head("packs/1", soon())).error().code(), ErrorCode::kNotFound);
  const auto committed = run(writer->commit(soon()));
  ASSERT_TRUE(committed) << committed.error().describe();
  EXPECT_EQ(run(store->head("packs/1", soon())).value().size, bytes.size());
  EXPECT_EQ(sha256(run(store->get("packs/1", {}, soon())).value()), sha256(bytes));
  EXPECT_EQ(run(store->get("packs/1", {5'242'870, 20}, soon())).value(), bytes.substr(5'242'870, 20));  // over a seam
  EXPECT_TRUE(run(store->remove("packs/1", soon())));
}

TEST_F(S3Swift, UnfinishedUploadsAreGivenBack) {
  auto some = options();
  some.part_bytes = 100;
  const auto store = S3Store::open(some).value();
  auto writer = run(store->open_writer("packs/never", soon())).value();
  ASSERT_TRUE(run(writer->write(std::string(150, 'x'), soon())));
  EXPECT_EQ(run(store->remove_abandoned(1h, soon())).value(), 0U);
  EXPECT_EQ(run(store->remove_abandoned(-1h, soon())).value(), 1U);
  EXPECT_EQ(run(store->remove_abandoned(-1h, soon())).value(), 0U);
  EXPECT_TRUE(run(writer->commit(soon())).has_error());
  EXPECT_EQ(run(store->head("packs/never", soon())).error().code(), ErrorCode::kNotFound);
}

TEST_F(S3Swift, AWrongKeyAndAMissingBucketAreToldApart) {
  const auto wrong = S3Store::open(options("guess")).value();
  EXPECT_EQ(run(wrong->check(soon())).error().code(), ErrorCode::kPermissionDenied);
  EXPECT_EQ(run(wrong->put("k", "x", soon())).error().code(), ErrorCode::kPermissionDenied);
  auto elsewhere = options();
  elsewhere.bucket = "nothing-here";
  const auto missing = S3Store::open(elsewhere).value();
  EXPECT_EQ(run(missing->check(soon())).error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(run(missing->put("k", "x", soon())).error().code(), ErrorCode::kFailedPrecondition);
}

TEST_F(S3Swift, AnEndpointThatDoesNotAnswerIsLeftInTimeAndUsedAgain) {
  auto some = options();
  some.operation_timeout = 400ms;
  const auto store = S3Store::open(some).value();
  ASSERT_TRUE(run(store->put("black/hole", "bytes", soon())));
  swift_->pause();
  const auto late = run(store->get("black/hole", {}, Deadline::after(300ms)));
  // A caller that would wait for ever does not.
  const auto endless = run(store->put("black/other", "bytes", Deadline::never()));
  auto writer = run(store->open_writer("black/large", Deadline::never())).value();
  const auto written = run(writer->write(std::string(9'000'000, 'x'), Deadline::never()));
  swift_->resume();
  EXPECT_EQ(late.error().code(), ErrorCode::kDeadlineExceeded) << late.error().describe();
  EXPECT_EQ(endless.error().code(), ErrorCode::kDeadlineExceeded) << endless.error().describe();
  EXPECT_EQ(written.error().code(), ErrorCode::kDeadlineExceeded) << written.error().describe();
  const auto patient = S3Store::open(options()).value();
  EXPECT_EQ(run(patient->get("black/hole", {}, soon())).value(), "bytes");
  EXPECT_EQ(run(patient->head("black/large", soon())).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(run(patient->remove_many({"black/hole", "black/other"}, soon())));
}

TEST_F(S3Swift, ASilentEndpointIsFoundOutAndUsedAgain) {
  const auto store = S3Store::open(options()).value();
  ASSERT_TRUE(run(store->put("silent/hole", "bytes", soon())));
  swift_->pause();
  const auto first = run(store->get("silent/hole", {}, Deadline::never()));
  const auto second = run(store->put("silent/other", "bytes", Deadline::never()));
  swift_->resume();
  EXPECT_EQ(first.error().code(), ErrorCode::kUnavailable) << first.error().describe();
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable) << second.error().describe();
  const auto deadline = Deadline::after(60s);
  auto again = run(store->get("silent/hole", {}, deadline));
  while (again.has_error() && !deadline.passed()) {
    std::this_thread::sleep_for(10ms);
    again = run(store->get("silent/hole", {}, deadline));
  }
  EXPECT_EQ(again.value(), "bytes");
  EXPECT_TRUE(run(store->remove("silent/hole", soon())));
}

TEST_F(S3Swift, AnEndpointThatIsDownIsToldAndUsedAgain) {
  const auto store = S3Store::open(options()).value();
  ASSERT_TRUE(run(store->put("down", "bytes", soon())));
  swift_->down();
  const auto checked = run(store->check(soon()));
  const auto put = run(store->put("down", "other", soon()));
  const auto got = run(store->get("down", {}, soon()));
  const auto listed = run(store->list("", "", 10, soon()));
  const auto removed = run(store->remove_many({"down"}, soon()));
  swift_->up();
  EXPECT_EQ(checked.error().code(), ErrorCode::kUnavailable) << checked.error().describe();
  EXPECT_EQ(put.error().code(), ErrorCode::kUnavailable) << put.error().describe();
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable) << got.error().describe();
  EXPECT_EQ(listed.error().code(), ErrorCode::kUnavailable) << listed.error().describe();
  EXPECT_EQ(removed.error().code(), ErrorCode::kUnavailable) << removed.error().describe();
  EXPECT_NE(got.error().message().find("127.0.0.1"), std::string::npos) << "the text says where";
  EXPECT_EQ(run(store->get("down", {}, soon())).value(), "bytes");
  EXPECT_TRUE(run(store->remove("down", soon())));
}

TEST_F(S3Swift, ManyAtOnceOverFewConnections) {
  auto some = options();
  some.connections = 4;
  const auto store = S3Store::open(some).value();
  asio::io_context loop;
  int good = 0;
  auto one = [](std::shared_ptr<ObjectStore> where, int i, int& count) -> asio::awaitable<void> {
    const auto key = "many/" + std::to_string(i);
    auto put = co_await where->put(key, key, soon());
    auto got = co_await where->get(key, {}, soon());
    auto removed = co_await where->remove(key, soon());
    count += put.has_value() && got.has_value() && *got == key && removed.has_value();
  };
  TaskGroup group(loop.get_executor());
  for (int i = 0; i < 40; ++i) group.spawn(one(store, i, good));
  loop.run();
  EXPECT_EQ(good, 40);
}

}  // namespace
}  // namespace merpati::objects
