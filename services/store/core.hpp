// Core: what every part of the store stands on. One for each process; made by the module, which is the only one that
// knows how the parts meet.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "merpati/base/guarded.hpp"
#include "merpati/base/task.hpp"
#include "merpati/objects/object_store.hpp"
#include "merpati/pg/pool.hpp"
#include "merpati/rpc/token.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::trace {
class Recorder;
}

namespace merpati::store {

class Arrivals;
class FlagChanges;
class SourceCache;
class StatusReader;
class Watchers;

struct Settings {
  std::uint64_t inline_limit = 64 * 1024;
  std::uint64_t max_message_size = 100ULL * 1024 * 1024;
  std::chrono::seconds blob_lease{3600};
  std::chrono::seconds collect_grace{24 * 3600};
  std::chrono::seconds watch_recheck{30};
  std::chrono::seconds delivery_memory{7 * 24 * 3600};
  std::chrono::seconds pop3_lease{120};
  int max_mailboxes = 10000;  ///< of one account
  std::uint64_t cache_size = 128ULL * 1024 * 1024;
  std::chrono::seconds pack_after{30 * 24 * 3600};  ///< 0: bodies are never packed
  std::uint64_t pack_size = 16ULL * 1024 * 1024;    ///< 0: the same
};

/// The name under which this process packs, and what it has done.
struct Packing {
  std::string holder;
  runtime::Counter bodies, octets, packs, failures;
};

/// Whose call it is, as far as the domain cares.
struct Caller {
  Deadline deadline;
  std::string trace_id;          ///< 32 hex digits
  std::string trace;             ///< what goes on, with the span
  std::int64_t quota_bytes = 0;  ///< from the session token; 0: no limit
  std::int64_t quota_messages = 0;
};

class Core {
 public:
  Core(pg::Pool& pool, asio::thread_pool& blocking, TaskGroup& group, Settings settings);
  ~Core();

  pg::Pool& pool;
  asio::thread_pool& blocking;
  TaskGroup& group;
  const Settings settings;
  std::shared_ptr<objects::ObjectStore> objects;  ///< null: large bodies answer kUnavailable
  std::shared_ptr<rpc::TokenVerifier> verifier;
  Packing packing;
  trace::Recorder* events = nullptr;  ///< null: no events of messages' lives are kept

  std::unique_ptr<Arrivals> arrivals;
  std::unique_ptr<FlagChanges> flag_changes;
  std::unique_ptr<StatusReader> status_reader;
  std::unique_ptr<SourceCache> sources;
  std::unique_ptr<Watchers> watchers;

  /// Makes the account and its first mailboxes when this process sees it for the first time.
  Task<void> ensure_account(std::int64_t account, Deadline deadline);
  Task<void> ensure_accounts(std::vector<std::int64_t> accounts, Deadline deadline);
  void forget_account(std::int64_t account);

 private:
  Guarded<std::unordered_set<std::int64_t>> known_;
};

}  // namespace merpati::store
