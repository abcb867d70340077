// The packer with a real S3 endpoint (OpenStack Swift with s3api) for its packs, also while that does not answer.
#include "merpati/objects/s3_store.hpp"
#include "packer_fixture.hpp"
#include "support/not_run.hpp"
#include "support/swift.hpp"

namespace merpati::store {
namespace {

constexpr std::uint64_t kPackSize = 12ULL * 1024 * 1024;  // more than one part of an upload

class PackerOnS3 : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { swift_ = std::make_unique<test::Swift>(); }
  static void TearDownTestSuite() { swift_.reset(); }
  static std::unique_ptr<test::Swift> swift_;

  void SetUp() override {
    if (swift_->endpoint().empty()) {
      test::print_not_run("swift", swift_->reason());
      if (test::required("swift") || test::required("integration")) FAIL() << "required, but: " << swift_->reason();
      GTEST_SKIP() << swift_->reason();
    }
    // Each test has its own part of the bucket.
    prefix_ = new_uuid() + "/";
    const auto configure = [this](config::v1::Objects& objects) {
      auto& s3 = *objects.mutable_s3();
      s3.set_endpoint(swift_->endpoint());
      s3.set_bucket("mail");
      s3.set_region("us-east-1");
      s3.set_access_key_id("test:tester");
      s3.set_secret_access_key("testing");
      s3.set_path_style(true);
      s3.set_prefix(prefix_);
      objects.mutable_timeout()->set_seconds(2);
    };
    const auto open = [this](asio::thread_pool&) {
      objects::S3Options options;
      options.endpoint = swift_->endpoint();
      options.bucket = "mail";
      options.key_prefix = prefix_;
      options.operation_timeout = 2s;
      options.credentials = []() -> Result<objects::Credentials> {
        return objects::Credentials{"test:tester", "testing", ""};
      };
      return objects::S3Store::open(std::move(options)).value();
    };
    store_ = std::make_unique<PackedStore>(configure, open, kPackSize);
  }

  std::string prefix_;
  std::unique_ptr<PackedStore> store_;
};
std::unique_ptr<test::Swift> PackerOnS3::swift_;

TEST_F(PackerOnS3, WhatIsPackedIsReadRepackedAndRemoved) {
  auto& store = *store_;
  // Random octets, which no compression makes smaller, so that the upload takes more than one part.
  for (int i = 0; i < 230; ++i) {
    const auto number = std::to_string(i);
    const auto result = store.s.deliver(1, mail("large" + number, to_base64(random_bytes(42'000)) + "\r\n"));
    ASSERT_EQ(result.status(), v1::DeliverResult::STATUS_DELIVERED);
    store.box = result.mailbox_id();
    store.expected[{1, result.uid()}] = store.s.content(1, store.box, result.uid());
  }
  store.fill(2, 8);
  const auto packed = store.pack();
  EXPECT_EQ(packed.packs, 1);
  EXPECT_EQ(packed.bodies, 238);
  EXPECT_GT(packed.octets, 8ULL * 1024 * 1024) << "no pack needed an upload in parts";
  EXPECT_EQ(store.stored_packs(), 1U);
  store.restart();
  store.check();

  store.expunge(1, 1, 220);
  store.collect(std::chrono::hours(25));
  store.collect(std::chrono::hours(25));
  EXPECT_EQ(store.pack().bodies, 18) << "what is left of a pack that is mostly dead moves";
  store.restart();
  store.check();
  store.collect(std::chrono::hours(1));
  EXPECT_EQ(store.stored_packs(), 1U);

  store.expunge(1, 221, 230);
  store.expunge(2, 1, 8);
  store.collect(std::chrono::hours(25));
  store.collect(std::chrono::hours(25));
  EXPECT_EQ(store.sql("select count(*) from store.packs"), "0");
  EXPECT_EQ(store.stored_packs(), 0U);
}

TEST_F(PackerOnS3, WhileTheEndpointIsSilentOrDownOnlyPackedOctetsAreAway) {
  auto& store = *store_;
  store.fill(1, 4);
  ASSERT_EQ(store.pack().bodies, 4);
  const auto fresh = store.s.deliver(1, mail("fresh"));
  ASSERT_EQ(fresh.status(), v1::DeliverResult::STATUS_DELIVERED);
  store.expected[{1, fresh.uid()}] = store.s.content(1, store.box, fresh.uid());
  const auto read = [&](std::uint32_t uid) {
    v1::ReadContentRequest request;
    request.set_account_id(1);
    request.set_mailbox_id(store.box);
    request.add_ranges()->set_uid(uid);
    return store.s.run(store.s.imap().read_content(request, store.s.as(1)));
  };
  const auto temporary = [](ErrorCode code) {
    return code == ErrorCode::kUnavailable || code == ErrorCode::kDeadlineExceeded;
  };
  const std::pair<void (test::Swift::*)(), void (test::Swift::*)()> ways[] = {
      {&test::Swift::pause, &test::Swift::resume}, {&test::Swift::down, &test::Swift::up}};
  for (const auto& [away, back] : ways) {
    store.restart();
    (*swift_.*away)();
    const auto packed = read(1);
    const auto inlined = read(fresh.uid());
    const auto delivered = store.s.deliver(1, mail("behind" + std::to_string(store.expected.size())));
    const auto round = store.s.run(pack_once(store.inside.core, Clock::system().wall() + std::chrono::hours(72)));
    (*swift_.*back)();
    ASSERT_TRUE(packed.has_error());
    EXPECT_TRUE(temporary(packed.error().code())) << packed.error().describe();
    EXPECT_TRUE(inlined.has_value()) << inlined.error().describe();
    EXPECT_EQ(delivered.status(), v1::DeliverResult::STATUS_DELIVERED);
    ASSERT_TRUE(round.has_error());
    EXPECT_TRUE(temporary(round.error().code())) << round.error().describe();
    store.expected[{1, delivered.uid()}] = store.s.content(1, store.box, delivered.uid());
    store.check();
  }
  EXPECT_EQ(store.pack().bodies, 3);
  store.restart();
  store.check();
  store.collect(std::chrono::hours(1));  // records of rounds that failed
  EXPECT_EQ(store.sql("select count(*) from store.packs"), "2");
  EXPECT_EQ(store.stored_packs(), 2U);
}

}  // namespace
}  // namespace merpati::store
