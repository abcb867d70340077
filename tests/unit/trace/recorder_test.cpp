#include "merpati/trace/recorder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>

#include "merpati/runtime/log.hpp"
#include "merpati/runtime/metric_samples.hpp"

namespace merpati::trace {
namespace {

using namespace std::chrono_literals;
constexpr const char* kId = "0123456789abcdef0123456789abcdef";

class Recording : public testing::Test {
 protected:
  std::unique_ptr<Recorder> make(std::size_t max_waiting = 100, int attempts = 3) {
    Recorder::Options options;
    options.service = "smtp";
    options.host = "pod-1";
    options.max_waiting = max_waiting;
    options.batch = 10;
    options.max_waiting_bytes = 16 << 10;
    options.batch_bytes = 4 << 10;
    options.gather = 1ms;
    options.retry = 1ms;
    options.attempts = attempts;
    return std::make_unique<Recorder>(std::move(options), metrics_,
                                      [this](const std::vector<v1::Event>& batch) { return write(batch); });
  }
  /// Fails as often as failures_ says; stops the recorder's run when `wanted_` events are written.
  Task<void> write(const std::vector<v1::Event>& batch) {
    batches_.push_back(batch.size());
    if (failures_ > 0) {
      --failures_;
      co_return Error(error_, "as the test wants");
    }
    written_.insert(written_.end(), batch.begin(), batch.end());
    if (written_.size() >= wanted_) context_.stop();
    co_return Result<void>();
  }
  void run(Recorder& recorder) {
    context_.restart();
    asio::co_spawn(context_, recorder.run(), [](std::exception_ptr) {});
    context_.run_for(20s);
  }
  double count(const char* outcome) const {
    for (const auto& sample : runtime::samples_of(metrics_))
      if (sample.name == "merpati_trace_events_total" && sample.labels.at("outcome") == outcome) return sample.value;
    return -1;
  }

  asio::io_context context_{1};
  runtime::Metrics metrics_;
  std::vector<v1::Event> written_;
  std::vector<std::size_t> batches_;
  std::size_t wanted_ = 1;
  int failures_ = 0;
  ErrorCode error_ = ErrorCode::kUnavailable;
};

TEST_F(Recording, WritesInBatchesWithWhoTold) {
  const auto recorder = make();
  for (int i = 0; i < 25; ++i) recorder->record(event(v1::KIND_DELIVERED, kId));
  wanted_ = 25;
  run(*recorder);
  ASSERT_EQ(written_.size(), 25U);
  EXPECT_EQ(batches_, (std::vector<std::size_t>{10, 10, 5}));
  EXPECT_EQ(written_[0].service(), "smtp");
  EXPECT_EQ(written_[0].host(), "pod-1");
  EXPECT_GT(written_[0].at_us(), 0);
}

TEST_F(Recording, KeepsWhatAnotherServiceSaid) {
  const auto recorder = make();
  auto theirs = event(v1::KIND_RECEIVED, kId);
  theirs.set_service("edge");
  theirs.set_host("other");
  recorder->record(theirs);
  run(*recorder);
  ASSERT_EQ(written_.size(), 1U);
  EXPECT_EQ(written_[0].service() + written_[0].host(), "edgeother");
}

TEST_F(Recording, IsBounded) {
  const auto recorder = make(5);
  for (int i = 0; i < 8; ++i) recorder->record(event(v1::KIND_DELIVERED, kId));
  EXPECT_EQ(recorder->waiting(), 5U);
  EXPECT_EQ(count("dropped"), 3);
}

TEST_F(Recording, IsBoundedInOctetsAndMakesSmallBatches) {
  const auto recorder = make(1000);
  auto one = event(v1::KIND_SENT, kId);
  one.set_text(std::string(900, 'x'));
  for (int i = 0; i < 30; ++i) recorder->record(one);
  EXPECT_LT(recorder->waiting(), 20U) << "16 KiB are allowed";
  EXPECT_GT(recorder->waiting(), 10U);
  const std::size_t accepted = recorder->waiting();
  EXPECT_EQ(count("dropped"), static_cast<double>(30 - accepted));
  wanted_ = accepted;
  run(*recorder);
  ASSERT_EQ(written_.size(), accepted);
  EXPECT_EQ(*std::max_element(batches_.begin(), batches_.end()), 4U) << "of 4 KiB";
  recorder->record(one);
  EXPECT_EQ(recorder->waiting(), 1U) << "what was written makes room";
}

TEST_F(Recording, RepeatsWhatMayPassAndLosesTheRest) {
  log::Capture quiet;
  const auto recorder = make();
  failures_ = 2;
  recorder->record(event(v1::KIND_DELIVERED, kId));
  run(*recorder);
  EXPECT_EQ(count("written"), 1);
  failures_ = 1;
  error_ = ErrorCode::kInvalidArgument;
  wanted_ = 2;
  recorder->record(event(v1::KIND_FAILED, kId));
  recorder->record(event(v1::KIND_FAILED, "fedcba9876543210fedcba9876543210"));
  context_.restart();
  asio::co_spawn(context_, recorder->flush(), [this](std::exception_ptr, Result<void>) { context_.stop(); });
  context_.run_for(20s);
  EXPECT_EQ(count("lost"), 2) << "a batch that is wrong is not tried again";
}

TEST_F(Recording, LeavesOutWhatBelongsToNoTrace) {
  const auto recorder = make();
  for (const char* id : {"", "123", "0123456789ABCDEF0123456789abcdef", "0123456789abcdef0123456789abcdeg"})
    recorder->record(event(v1::KIND_DELIVERED, id));
  EXPECT_EQ(recorder->waiting(), 0U);
  recorder->record(event(v1::KIND_DELIVERED, std::string(kId) + "-0123456789abcdef-01"));
  EXPECT_EQ(recorder->waiting(), 1U) << "a trace with its span";
}

TEST_F(Recording, MakesStorableWhatPeersSay) {
  const auto recorder = make();
  auto one = event(v1::KIND_SENT, kId);
  one.set_text(std::string("a\0b\r\n", 5) + "\xff\xc3\xa9\xed\xa0\x80" + std::string(2000, 'x'));
  recorder->record(std::move(one));
  run(*recorder);
  ASSERT_EQ(written_.size(), 1U);
  EXPECT_EQ(written_[0].text().substr(0, 11), "a?b??\x3f\xc3\xa9\x3f\x3f\x3f");
  EXPECT_LE(written_[0].text().size(), 1000U);
}

}  // namespace
}  // namespace merpati::trace
