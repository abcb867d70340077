// JunkTeacher: tells the filter of mail that people put into Junk or move out of it. Owned by a loop, used on its
// thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>

#include "imap/convert.hpp"
#include "imap/probe.hpp"
#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::store::v1 {
class StoreClient;
}
namespace merpati::filter::v1 {
class LearningClient;
}

namespace merpati::imap {

/// Messages that were moved, copied or appended.
struct MovedMessages {
  rpc::CallOptions call;  ///< the session's: its token is what they are read and taught with
  std::int64_t from = 0;  ///< a mailbox; 0: they were in none
  std::int64_t to = 0;
  Ranges uids;  ///< in `to`
};

/// Works behind the commands: none waits for it or fails by it. What it cannot tell in time is not learnt, and counted.
class JunkTeacher {
 public:
  /// `filter` null: nothing is told. `tasks` runs the work, and ends it.
  JunkTeacher(asio::any_io_executor executor, const Probe& probe, std::shared_ptr<store::v1::StoreClient> store,
              std::shared_ptr<rpc::Channel> filter, TaskGroup& tasks);

  void moved(MovedMessages messages);

 private:
  struct Uses {
    std::unordered_map<std::int64_t, pb::SpecialUse> by_mailbox;
    SteadyTime until{};
  };
  asio::awaitable<void> work();
  Task<void> teach(const MovedMessages& messages);
  /// What two mailboxes are for, as far as the store was asked lately.
  std::optional<std::pair<pb::SpecialUse, pb::SpecialUse>> known_uses(const MovedMessages& messages) const;
  /// The same; asks the store when that is not known.
  Task<std::pair<pb::SpecialUse, pb::SpecialUse>> uses_of(const MovedMessages& messages);
  Task<std::string> read(const MovedMessages& messages, std::uint32_t uid);
  void drop(const MovedMessages& messages);

  asio::any_io_executor executor_;
  const Probe& probe_;
  std::shared_ptr<store::v1::StoreClient> store_;
  std::shared_ptr<filter::v1::LearningClient> filter_;
  TaskGroup& tasks_;
  std::deque<MovedMessages> waiting_;
  bool working_ = false;
  SteadyTime quiet_until_{};                     ///< the filter learns nothing
  std::unordered_map<std::int64_t, Uses> uses_;  ///< by account
};

}  // namespace merpati::imap
