// Arrivals: deliveries and appends on their way into the database, many in one commit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "merpati/base/clock.hpp"
#include "store/body.hpp"
#include "store/core.hpp"

namespace merpati::store {

struct Arrival {
  std::int64_t account = 0;
  std::string delivery;  ///< UUID, 36 characters
  int part = 0;          ///< of a multiple append
  std::string mailbox;
  bool junk = false;      ///< to the mailbox with \Junk
  bool strict = false;    ///< only to `mailbox`; else INBOX takes it
  bool together = false;  ///< only with every other such arrival of its call
  int flags = 0;
  std::string keywords;  ///< separated by blanks
  WallTime received{};
  int zone_minutes = 0;
  std::string header_prefix;
  std::int64_t quota_bytes = 0, quota_messages = 0;
  std::int64_t quota_need = 0;  ///< octets that must be free
  std::shared_ptr<const StoredBody> body;
  std::string trace;  ///< the caller's, for the span of the commit
};

struct ArrivalResult {
  enum class Status {
    kStored = 1,
    kDuplicate = 2,
    kOverQuota = 3,
    kRefused = 4,
    kNoBody = 5,
    kNoMailbox = 6,
    kWithheld = 7,
    kGivenUp = 8
  };
  /// "stored" and so on, for metrics and logs.
  static const char* name_of(Status status);
  Status status = Status::kRefused;
  std::int64_t mailbox = 0;
  std::uint32_t uid = 0;
  std::int64_t email = 0;
  std::uint32_t uid_validity = 0;
  std::uint64_t modseq = 0;
};

class Probe;

class Arrivals {
 public:
  explicit Arrivals(Core& core);
  ~Arrivals();
  /// Whoever brings arrivals counts in it what became of them. Counts nothing until the module gives it metrics.
  Probe& probe();
  /// All in one transaction, shared with whoever arrives at the same time. Answers after the commit, with one result
  /// for each element. Repeats itself when the connection was lost with the commit in doubt: every element has a
  /// delivery id.
  Task<std::vector<ArrivalResult>> store(std::vector<Arrival> arrivals, Deadline deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merpati::store
