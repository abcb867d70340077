// EventTable: the table trace_events of one schema.
#pragma once

#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"
#include "merpati/trace/v1/trace.pb.h"

namespace merpati::trace {

/// Thread safe.
class EventTable {
 public:
  enum class Mailboxes {
    kUnknown,
    kNamed,  ///< the schema has the table mailboxes, which names them
  };
  EventTable(pg::Pool& pool, Mailboxes mailboxes) : pool_(pool), mailboxes_(mailboxes) {}

  /// All or none.
  Task<void> write(const std::vector<v1::Event>& events, Deadline deadline);
  Task<v1::FindEventsResponse> find(const v1::FindEventsRequest& request, Deadline deadline);
  /// Makes the partitions of yesterday to the day after tomorrow, and drops those older than `days`. One replica at a
  /// time: 0 partitions changed when another is at it.
  Task<int> care(int days, Deadline deadline);

 private:
  Task<void> name_mailboxes(v1::FindEventsResponse& found, Deadline deadline);

  pg::Pool& pool_;
  const Mailboxes mailboxes_;
};

}  // namespace merpati::trace
