// DmarcStore: periods and counts of DMARC aggregate reports, over all replicas.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "filter/dmarc_rows.hpp"
#include "merpati/base/clock.hpp"
#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::filter {

struct DmarcLimits {
  std::int32_t domains = 10'000;        ///< of one day
  std::int32_t records = 5'000;         ///< of one report
  std::chrono::seconds spread{14'400};  ///< reports leave within it after a period's end
  std::chrono::seconds keep{604'800};   ///< what could not be sent
};

struct DmarcCount {
  std::int32_t day = 0;                 ///< since 1970, UTC
  std::string domain, request, record;  ///< the latter two by to_text()
  std::int64_t messages = 0;
};

/// A closed period whose report is to be sent.
struct DuePeriod {
  std::int64_t id = 0;
  std::string domain;
  std::int64_t begins = 0, ends = 0;  ///< Unix seconds; `ends` is the next one's first
  std::string request;
  std::int64_t left_out = 0;
  std::vector<std::string> told;  ///< addresses that are done with
  std::int32_t attempts = 0;
};

struct DmarcPeriodView {
  std::int64_t id = 0;
  std::string domain, request, last_error;
  std::int32_t state = 0;  ///< 0 collecting, 1 closed, 2 sent
  std::int64_t ends = 0, due = 0, records = 0, messages = 0, left_out = 0, attempts = 0;
};

class DmarcMemory {
 public:
  virtual ~DmarcMemory() = default;
  /// How many messages were left out.
  virtual Task<std::int64_t> count(const std::vector<DmarcCount>& counts, Deadline deadline) = 0;
};

/// In PostgreSQL. Any thread. Every method is one statement.
class StoredDmarc : public DmarcMemory {
 public:
  StoredDmarc(pg::Pool& pool, DmarcLimits limits) : pool_(pool), limits_(limits) {}

  Task<std::int64_t> count(const std::vector<DmarcCount>& counts, Deadline deadline) override;
  /// One that is due; another replica may claim it after `lease`. Nothing: none is.
  Task<std::optional<DuePeriod>> claim(std::chrono::seconds lease, Deadline deadline);
  Task<std::vector<mailauth::DmarcReportRecord>> records(std::int64_t period, Deadline deadline);
  /// `address` is done with.
  Task<void> tell(std::int64_t period, std::string address, Deadline deadline);
  Task<void> finish(std::int64_t period, Deadline deadline);
  Task<void> postpone(std::int64_t period, std::chrono::seconds wait, std::string why, Deadline deadline);
  /// Ends those of a domain, or ("") all, now; how many leave.
  Task<std::int64_t> close(std::string domain, Deadline deadline);
  /// At most `most`, by id.
  Task<std::vector<DmarcPeriodView>> list(std::int64_t after, std::string domain, bool sent, std::int32_t most,
                                          Deadline deadline);
  struct Forgotten {
    std::int64_t gone = 0, unsent = 0;
  };
  /// Some of what is too old.
  Task<Forgotten> forget(Deadline deadline);

 private:
  pg::Pool& pool_;
  const DmarcLimits limits_;
};

}  // namespace merpati::filter
