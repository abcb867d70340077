// The audit log: who changed what, when, from where, with which outcome.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::admin {

struct AuditRow {
  std::int64_t id = 0;
  std::int64_t at_ms = 0;
  std::string token_name;
  std::string peer;
  std::string method;
  std::string target;
  std::string outcome;
};

/// Thread safe.
class Audit {
 public:
  explicit Audit(pg::Pool& pool) : pool_(pool) {}

  /// Commits the row with outcome STARTED and gives its id.
  Task<std::int64_t> begin(AuditRow row, Deadline deadline);
  Task<void> finish(std::int64_t id, std::string_view outcome, Deadline deadline);
  /// Newest first, older than `before` (0: all).
  Task<std::vector<AuditRow>> list(std::int64_t before, int limit, Deadline deadline);

 private:
  pg::Pool& pool_;
};

}  // namespace merpati::admin
