// The queue's tables. Every method is one statement: one round trip and, where it changes something, one commit.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "merpati/pg/pool.hpp"
#include "queue/item.hpp"

namespace merpati::queue {

struct Enqueued {
  std::vector<std::int64_t> item_ids;
  bool duplicate = false;
};

/// How an item ends, or when it is tried again.
struct Finish {
  std::int64_t id = 0;
  std::int64_t lease_number = 0;
  ItemState state = ItemState::kDue;
  std::chrono::milliseconds wait{0};
  std::string error;
  std::string host;
};

/// A bounce that is enqueued in the commit that marks its items as failed.
struct Bounce {
  std::string delivery_id;
  std::string to;
  std::string domain;
  std::string octets;
  bool smtputf8 = false;
  std::string trace_id;
};

struct HeldDelivery {
  std::string delivery_id;
  std::int64_t deciding_account_id = 0;
  std::string cell;
};

/// For operators.
struct ItemView {
  std::int64_t id = 0;
  std::string delivery_id, reverse_path, recipient, last_error, last_host, trace_id;
  ItemState state = ItemState::kDue;
  int attempts = 0;
  std::int64_t next_attempt_at = 0, expires_at = 0, enqueued_at = 0;  // Unix seconds
  std::uint64_t size = 0;
};
struct ItemFilter {
  int limit = 100;
  std::int64_t after_id = 0;
  int state = 0;  ///< 0: any
  std::string domain;
  std::string sender;
};

struct Counts {
  std::int64_t held = 0, due = 0, sending = 0;
  double oldest_due_seconds = 0;
};

class Repository {
 public:
  Repository(pg::Pool& pool, std::chrono::nanoseconds give_up, std::chrono::nanoseconds lease);

  /// All or none, 1 to 32; the first decides for the others, or, with `decided_by`, the delivery of an earlier call for
  /// all of them. The item ids in their order.
  Task<Enqueued> enqueue(std::span<const NewMessage> messages, bool held, Deadline deadline,
                         std::optional<std::string> decided_by = std::nullopt);
  Task<std::int64_t> release(std::string delivery_id, Deadline deadline);
  /// Whether drop_held ended the delivery.
  Task<bool> was_taken_back(std::string delivery_id, Deadline deadline);
  Task<std::int64_t> drop_held(std::string delivery_id, Deadline deadline);
  /// Held longer than `age`.
  Task<std::vector<HeldDelivery>> held_longer_than(std::chrono::nanoseconds age, Deadline deadline);

  /// Grouped into jobs. Domains in `busy` are left alone.
  Task<std::vector<Job>> lease(int limit, std::vector<std::string> busy, Deadline deadline);
  /// When the next item is due, from now; nothing when none waits.
  Task<std::optional<std::chrono::milliseconds>> next_due(std::vector<std::string> busy, Deadline deadline);
  /// Makes the leases live on. Returns the ids that are still ours.
  Task<std::vector<std::int64_t>> heartbeat(std::vector<std::int64_t> ids, std::vector<std::int64_t> lease_numbers,
                                            Deadline deadline);
  /// Returns how many were still ours and are written.
  Task<std::size_t> finish(std::vector<Finish> items, std::optional<Bounce> bounce, Deadline deadline);
  Task<std::string> octets(std::string delivery_id, Deadline deadline);

  Task<std::vector<ItemView>> list(ItemFilter filter, Deadline deadline);
  Task<std::optional<ItemView>> get(std::int64_t id, Deadline deadline);
  /// Due now: these, or of this domain ("" is all) when `ids` is empty.
  Task<std::int64_t> retry(std::vector<std::int64_t> ids, std::string domain, Deadline deadline);
  /// With `bounce` they are returned to their senders, else they just end.
  Task<std::int64_t> drop(std::vector<std::int64_t> ids, bool bounce, Deadline deadline);
  /// Forgets what ended longer ago than `age`.
  Task<std::int64_t> forget_finished(std::chrono::nanoseconds age, Deadline deadline);
  Task<Counts> counts(Deadline deadline);
  /// Tells the other replicas (channel queue_due) that something is due.
  Task<void> notify_due(Deadline deadline);

 private:
  pg::Pool& pool_;
  double give_up_seconds_;
  double lease_seconds_;
};

}  // namespace merpati::queue
