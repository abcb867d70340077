// Gatherer: calls that wait become one batch. While one batch is under way the next one gathers; there is no timer, so
// a lone call waits for nobody. Only what fills a batch of its own goes beside the batch under way: a statement's fixed
// cost counts for more than the time that a commit leaves the processor idle.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/base/wakeup.hpp"

namespace merpati {

/// Thread safe. `Work` is the request, `Answer` its result.
template <class Work, class Answer>
class Gatherer {
 public:
  struct Item {
    Work work;
    std::size_t weight = 1;
    Deadline deadline;
    std::optional<Result<Answer>> answer;  ///< the batch function must set it
    Wakeup done;
  };
  using Batch = std::vector<std::shared_ptr<Item>>;
  struct Limits {
    std::size_t items = 100;  ///< of one batch
    std::size_t weight = 8 * 1024 * 1024;
    std::size_t waiting = 4096;  ///< more is kResourceExhausted
    int parallel = 1;            ///< batches under way at once
    bool full_beside = false;    ///< a further batch starts only when it is full
  };
  using Run = std::function<asio::awaitable<void>(Batch& batch)>;

  Gatherer(TaskGroup& group, Limits limits, Run run) : group_(group), limits_(limits), run_(std::move(run)) {}

  /// The work is done even when the waiting caller is cancelled.
  Task<Answer> call(Work work, std::size_t weight, Deadline deadline) {
    auto item = std::make_shared<Item>();
    item->work = std::move(work);
    item->weight = weight;
    item->deadline = deadline;
    bool start = false;
    {
      std::lock_guard lock(mutex_);
      if (waiting_.size() >= limits_.waiting)
        co_return Error(ErrorCode::kResourceExhausted, "too many calls wait for a batch");
      waiting_.push_back(item);
      const bool beside = !limits_.full_beside || running_ == 0 || waiting_.size() >= limits_.items;
      if (running_ < limits_.parallel && beside) {
        ++running_;
        start = true;
      }
    }
    if (start) {
      auto executor = co_await asio::this_coro::executor;
      group_.spawn(executor, drive());
    }
    MERPATI_CO_CHECK(co_await item->done.wait());
    co_return std::move(*item->answer);
  }

  /// Answers those whose batch has not begun.
  void refuse_waiting(const Error& why) {
    std::deque<std::shared_ptr<Item>> refused;
    {
      std::lock_guard lock(mutex_);
      refused.swap(waiting_);
    }
    for (auto& item : refused) {
      item->answer = why;
      item->done.notify();
    }
  }

  std::size_t waiting() const {
    std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  asio::awaitable<void> drive() {
    for (;;) {
      Batch batch;
      {
        std::lock_guard lock(mutex_);
        std::size_t weight = 0;
        while (!waiting_.empty() && batch.size() < limits_.items &&
               (batch.empty() || weight + waiting_.front()->weight <= limits_.weight)) {
          weight += waiting_.front()->weight;
          batch.push_back(std::move(waiting_.front()));
          waiting_.pop_front();
        }
        if (batch.empty()) {
          --running_;
          break;
        }
      }
      co_await run_(batch);
      for (auto& item : batch) {
        if (!item->answer) item->answer = Error(ErrorCode::kInternal, "a batch forgot one of its calls");
        item->done.notify();
      }
    }
    co_return;
  }

  TaskGroup& group_;
  Limits limits_;
  Run run_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<Item>> waiting_;
  int running_ = 0;
};

/// Runs `commit` over the batch; when it fails for a reason that one element may have, halves it until the culprits
/// stand alone. `commit` sets the answers and returns what failed as a whole.
template <class Batch, class Commit>
asio::awaitable<void> commit_bisecting(Batch batch, const Commit& commit) {
  Result<void> done = co_await commit(batch);
  if (!done.has_error()) co_return;
  const auto code = done.error().code();
  const bool shared = code == ErrorCode::kUnavailable || code == ErrorCode::kCancelled ||
                      code == ErrorCode::kResourceExhausted || code == ErrorCode::kDeadlineExceeded ||
                      code == ErrorCode::kAborted;
  if (batch.size() == 1 || shared) {
    for (auto& item : batch) item->answer = done.error();
    co_return;
  }
  const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
  Batch first(batch.begin(), middle), second(middle, batch.end());
  co_await commit_bisecting(std::move(first), commit);
  co_await commit_bisecting(std::move(second), commit);
}

}  // namespace merpati
