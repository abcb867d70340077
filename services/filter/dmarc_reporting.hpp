// DmarcReporting: all that DMARC aggregate reports about other domains need, put together.
#pragma once

#include <functional>
#include <memory>

#include "filter/dmarc_counts.hpp"
#include "filter/dmarc_sender.hpp"

namespace merpati::filter {

struct DmarcReportSettings {
  DmarcReporter reporter;
  DmarcExclusions exclusions;
  DmarcLimits limits;
};

class DmarcReporting {
 public:
  /// `pool` and `blocking` outlive it.
  DmarcReporting(DmarcReportSettings settings, pg::Pool& pool, std::shared_ptr<dns::Resolver> resolver,
                 DmarcSender::Peers peers, asio::thread_pool& blocking, runtime::Metrics& metrics);

  /// Starts counting and sending.
  void start(TaskGroup& tasks);
  /// Writes what waits, when its tasks have ended.
  Task<void> finish() { return counts_.flush(); }
  /// A message that the engines judged, by the configuration. Any thread; never waits.
  void observe(const MessageView& view, const Verdict& verdict);
  /// Ends periods now and sends them; how many. "": of all domains.
  Task<std::int64_t> send_now(std::string domain, Deadline deadline);
  /// Some of what is too old; how many periods.
  Task<std::int64_t> forget(Deadline deadline);

  StoredDmarc& stored() { return stored_; }

 private:
  const DmarcExclusions exclusions_;
  StoredDmarc stored_;
  DmarcCounts counts_;
  DmarcSender sender_;
};

}  // namespace merpati::filter
