#include "filter/dmarc_reporting.hpp"

#include "merpati/runtime/log.hpp"

namespace merpati::filter {

DmarcReporting::DmarcReporting(DmarcReportSettings settings, pg::Pool& pool, std::shared_ptr<dns::Resolver> resolver,
                               DmarcSender::Peers peers, asio::thread_pool& blocking, runtime::Metrics& metrics)
    : exclusions_(settings.exclusions),
      stored_(pool, settings.limits),
      counts_(stored_, metrics),
      sender_(std::move(settings.reporter), std::move(settings.exclusions), stored_, std::move(resolver),
              std::move(peers), blocking, metrics) {}

void DmarcReporting::start(TaskGroup& tasks) {
  tasks.spawn(counts_.run());
  tasks.spawn(sender_.run());
}

void DmarcReporting::observe(const MessageView& view, const Verdict& verdict) {
  if (!wants_reports(view)) return;
  for (const auto& observation : observations_of(view, verdict, exclusions_)) counts_.add(observation);
}

Task<std::int64_t> DmarcReporting::send_now(std::string domain, Deadline deadline) {
  MERPATI_CO_CHECK(co_await counts_.settle(deadline));
  MERPATI_CO_TRY(const auto closed, co_await stored_.close(std::move(domain), deadline));
  sender_.hurry();
  co_return closed;
}

Task<std::int64_t> DmarcReporting::forget(Deadline deadline) {
  MERPATI_CO_TRY(const auto forgotten, co_await stored_.forget(deadline));
  if (forgotten.unsent > 0) {
    sender_.tell_expired(forgotten.unsent);
    log::warning("filter_dmarc_expired", "DMARC reports could not be sent in time and were dropped",
                 {{"periods", forgotten.unsent}});
  }
  co_return forgotten.gone;
}

}  // namespace merpati::filter
