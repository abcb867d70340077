// Memory: what scripts want remembered of earlier messages, over all replicas. It counts once a message was taken.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::filter {

enum class MemoryKind { kVacation = 1, kDuplicate = 2, kError = 3 };

struct Claim {
  std::int64_t account_id = 0;
  MemoryKind kind = MemoryKind::kVacation;
  std::string key;           ///< any octets
  std::int64_t seconds = 0;  ///< for which it then counts
  bool anyway = false;       ///< although it counts already: to make it count for longer
};

struct Claimed {
  bool seen = false;   ///< counts already
  std::string holder;  ///< another delivery whose end is not known; empty: none, and it is ours unless it was seen
  double held_seconds = 0;
};

/// Any thread. Every method is one statement.
class Memory {
 public:
  explicit Memory(pg::Pool& pool) : pool_(pool) {}

  /// One answer for each claim. `delivery_id` is a UUID.
  Task<std::vector<Claimed>> claim(std::string delivery_id, const std::vector<Claim>& claims, Deadline deadline);
  /// What the delivery claimed counts, or is forgotten; for one account or for all.
  Task<void> settle(std::string delivery_id, std::optional<std::int64_t> account, bool taken, Deadline deadline);
  /// Removes what counts no more, some at a time.
  Task<std::int64_t> forget(Deadline deadline);

 private:
  pg::Pool& pool_;
};

}  // namespace merpati::filter
