// Scripts: the Sieve scripts of accounts, in PostgreSQL. Every method is one statement; reads of active scripts that
// come at the same time share one.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "merpati/base/gather.hpp"
#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::filter {

/// What accounts may keep.
struct ScriptLimits {
  int max_scripts = 64;
  std::uint64_t max_script_size = 1 << 20;  ///< octets of one
  std::uint64_t max_total_size = 4 << 20;   ///< octets of all of an account
};

enum class ScriptRoom { kEnough = 1, kTooLarge = 2, kTooMany = 3, kFull = 4 };

struct StoredScript {
  std::string name;
  bool active = false;
  std::uint64_t size = 0;
  std::int64_t changed_at = 0;  ///< Unix seconds
};

/// An account's active script. `source` is nothing when it is the one that the caller knows.
struct ActiveScript {
  std::int64_t account_id = 0;
  std::string name;
  std::string hash;  ///< SHA-256 of the source
  std::optional<std::string> source;
};

/// Errors with texts that are safe to show: kNotFound, kAlreadyExists, kFailedPrecondition. Any thread.
class Scripts {
 public:
  /// `group`: where shared reads run; it ends before this object does.
  Scripts(pg::Pool& pool, TaskGroup& group, ScriptLimits limits);

  const ScriptLimits& limits() const { return limits_; }
  /// Sorted by name.
  Task<std::vector<StoredScript>> list(std::int64_t account, Deadline deadline);
  Task<std::pair<StoredScript, std::string>> get(std::int64_t account, std::string name, Deadline deadline);
  Task<ScriptRoom> room(std::int64_t account, std::string name, std::uint64_t size, Deadline deadline);
  /// Stores it when there is room.
  Task<ScriptRoom> put(std::int64_t account, std::string name, std::string source, Deadline deadline);
  /// An empty name: none is active.
  Task<void> activate(std::int64_t account, std::string name, Deadline deadline);
  Task<void> remove(std::int64_t account, std::string name, Deadline deadline);
  Task<void> rename(std::int64_t account, std::string name, std::string new_name, Deadline deadline);
  Task<void> purge(std::int64_t account, Deadline deadline);

  /// Of these accounts, those that have one. `known`: for each account the hash that the caller has a compiled script
  /// of, or "".
  Task<std::vector<ActiveScript>> active(std::vector<std::int64_t> accounts, std::vector<std::string> known,
                                         Deadline deadline);
  /// For include; nothing when there is none.
  Task<std::optional<std::string>> source(std::int64_t account, std::string name, Deadline deadline);

 private:
  struct Wanted {
    std::vector<std::int64_t> accounts;
    std::vector<std::string> known;
  };
  using Reads = Gatherer<Wanted, std::vector<ActiveScript>>;
  asio::awaitable<void> read_together(Reads::Batch& batch);
  Task<std::map<std::int64_t, ActiveScript>> read_active(const Reads::Batch& batch);

  pg::Pool& pool_;
  ScriptLimits limits_;
  Reads reads_;
};

}  // namespace merpati::filter
