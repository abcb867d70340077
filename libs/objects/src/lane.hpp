// Lane: the bounded way to a pool of blocking threads. Owned by a store.
#pragma once

#include <atomic>
#include <string>
#include <utility>

#include "merpati/base/task.hpp"
#include "merpati/objects/object_store.hpp"

namespace merpati::objects {

class Lane {
 public:
  Lane(asio::thread_pool& pool, std::size_t limit, std::chrono::nanoseconds longest)
      : pool_(pool), limit_(limit), longest_(longest) {}

  /// Runs `call` (returns a Result) on the pool. Refused at once when the lane is full; not started after `deadline`,
  /// nor after the lane's longest wait.
  template <class Call, class R = std::invoke_result_t<Call>>
  asio::awaitable<R> run(Call call, Deadline deadline) {
    const Place place(in_use_);
    if (place.number > limit_) co_return Error(ErrorCode::kUnavailable, "too many object operations are waiting");
    auto body = [call = std::move(call), deadline = deadline.within(longest_)]() mutable -> R {
      if (deadline.passed()) return Error(ErrorCode::kDeadlineExceeded, "deadline passed while waiting for a thread");
      return call();
    };
    co_return co_await run_blocking(pool_, std::move(body));
  }

  std::size_t in_use() const { return in_use_; }

 private:
  struct Place {
    explicit Place(std::atomic<std::size_t>& counter) : in_use(counter), number(++counter) {}
    ~Place() { --in_use; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    std::atomic<std::size_t>& in_use;
    std::size_t number;
  };

  asio::thread_pool& pool_;
  const std::size_t limit_;
  const std::chrono::nanoseconds longest_;
  std::atomic<std::size_t> in_use_ = 0;
};

/// Reports one operation to the observer, whatever way it ended.
class Observed {
 public:
  Observed(const Observer& observer, std::string_view operation)
      : observer_(observer), operation_(operation), start_(std::chrono::steady_clock::now()) {}
  template <class T>
  Result<T> operator()(Result<T> result) const {
    if (observer_) {
      std::optional<ErrorCode> code;
      if (result.has_error()) code = result.error().code();
      observer_(operation_, code, std::chrono::steady_clock::now() - start_);
    }
    return result;
  }

 private:
  const Observer& observer_;
  std::string_view operation_;
  SteadyTime start_;
};

}  // namespace merpati::objects
