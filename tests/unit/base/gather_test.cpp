#include "merpati/base/gather.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace merpati {
namespace {

using Group = Gatherer<int, int>;

struct Fixture {
  asio::io_context loop;
  TaskGroup group{loop.get_executor()};
  std::vector<std::size_t> sizes;
  bool down = false;

  Task<void> commit(Group::Batch& batch) {
    sizes.push_back(batch.size());
    MERPATI_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(1)));
    if (down) co_return Error(ErrorCode::kUnavailable, "down");
    for (const auto& item : batch)
      if (item->work < 0) co_return Error(ErrorCode::kInvalidArgument, "negative");
    for (auto& item : batch) item->answer = item->work * 2;
    co_return Result<void>();
  }
  asio::awaitable<void> run(Group::Batch& batch) {
    const auto each = [this](Group::Batch& part) { return commit(part); };
    co_await commit_bisecting(batch, each);
  }
  /// A batch that waits for something refuses those behind it.
  asio::awaitable<void> refuse_others(Group& gatherer, Group::Batch& batch) {
    static_cast<void>(co_await sleep_for(std::chrono::milliseconds(1)));  // until the others wait
    gatherer.refuse_waiting(Error(ErrorCode::kUnavailable, "not now"));
    for (auto& item : batch) item->answer = item->work * 2;
    co_return;
  }
  std::vector<Result<int>> call(const std::vector<int>& works) {
    Group gatherer(group, {16, 1000, 100, 1}, [this](Group::Batch& batch) { return run(batch); });
    std::vector<std::future<Result<int>>> all;
    for (const int work : works)
      all.push_back(asio::co_spawn(loop, gatherer.call(work, 1, Deadline::never()), asio::use_future));
    loop.run();
    loop.restart();
    std::vector<Result<int>> results;
    for (auto& item : all) results.push_back(item.get());
    return results;
  }
};

TEST(Gather, WhatWaitsWhileABatchRunsIsTheNextBatch) {
  Fixture f;
  const auto results = f.call({1, 2, 3, 4, 5, 6, 7, 8});
  for (int i = 0; i < 8; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].value(), 2 * (i + 1));
  EXPECT_LE(f.sizes.size(), 2u);
}

TEST(Gather, WhatWaitsCanBeRefused) {
  Fixture f;
  std::optional<Group> gatherer;
  gatherer.emplace(f.group, Group::Limits{1, 1000, 100, 1},
                   [&](Group::Batch& batch) { return f.refuse_others(*gatherer, batch); });
  std::vector<std::future<Result<int>>> all;
  for (int i = 1; i <= 3; ++i)
    all.push_back(asio::co_spawn(f.loop, gatherer->call(i, 1, Deadline::never()), asio::use_future));
  f.loop.run();
  EXPECT_EQ(all[0].get().value(), 2);
  EXPECT_EQ(all[1].get().error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(all[2].get().error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(gatherer->waiting(), 0U);
}

TEST(Gather, ABadElementFailsAlone) {
  Fixture f;
  std::vector<int> works;
  for (int i = 0; i < 40; ++i) works.push_back(i == 11 || i == 30 ? -1 : i);
  const auto results = f.call(works);
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].has_error(), works[i] < 0) << i;
    if (works[i] >= 0) {
      EXPECT_EQ(*results[i], 2 * works[i]);
    }
  }
}

TEST(Gather, AnOutageIsNotTriedPieceByPiece) {
  Fixture f;
  f.down = true;
  const auto results = f.call({1, 2, 3, 4, 5, 6, 7, 8});
  for (const auto& result : results) EXPECT_EQ(result.error().code(), ErrorCode::kUnavailable);
  EXPECT_LE(f.sizes.size(), 2u);
}

}  // namespace
}  // namespace merpati
