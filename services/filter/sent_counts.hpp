// SentCounts: how much accounts sent within the last hour, over all replicas.
#pragma once

#include <cstdint>

#include "merpati/base/clock.hpp"
#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::filter {

struct Sent {
  std::int64_t messages = 0;
  std::int64_t recipients = 0;
};

class SentCounts {
 public:
  virtual ~SentCounts() = default;
  /// Counts one message; all that the account sent within the hour, this one included. Not idempotent.
  virtual Task<Sent> count(std::int64_t account, std::int64_t recipients, WallTime now, Deadline deadline) = 0;
};

/// In PostgreSQL, in slots of ten minutes. Any thread. Every method is one statement.
class StoredSentCounts : public SentCounts {
 public:
  explicit StoredSentCounts(pg::Pool& pool) : pool_(pool) {}

  Task<Sent> count(std::int64_t account, std::int64_t recipients, WallTime now, Deadline deadline) override;
  /// Removes slots that count no more, some at a time; how many.
  Task<std::int64_t> forget(WallTime now, Deadline deadline);

 private:
  pg::Pool& pool_;
};

}  // namespace merpati::filter
