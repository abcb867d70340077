#include "filter/dmarc_sender.hpp"

#include <algorithm>

#include "filter/store_upload.hpp"
#include "merpati/queue/v1/queue.rpc.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/seldom.hpp"

namespace merpati::filter {
namespace {

using namespace std::chrono_literals;
using mailauth::DestinationState;

constexpr auto kLookEvery = 30s;
constexpr auto kLease = 10min;  // more than one report takes
constexpr auto kTryAgainIn = 15min;
constexpr auto kOneStep = 30s;  // a statement, a call, the lookups of one destination
constexpr std::size_t kMostDestinations = 5;

/// Whether it is worth trying again.
bool may_pass(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kInternal:
      return false;
    default:
      return true;
  }
}

}  // namespace

DmarcSender::DmarcSender(DmarcReporter reporter, DmarcExclusions exclusions, StoredDmarc& memory,
                         std::shared_ptr<dns::Resolver> resolver, Peers peers, asio::thread_pool& blocking,
                         runtime::Metrics& metrics)
    : reporter_(std::move(reporter)),
      exclusions_(std::move(exclusions)),
      memory_(memory),
      resolver_(std::move(resolver)),
      peers_(std::move(peers)),
      blocking_(blocking) {
  const auto counter = [&](const char* result) {
    return metrics.counter("merpati_filter_dmarc_reports_total", "DMARC aggregate reports to one destination each",
                           {{"result", result}});
  };
  sent_ = counter("sent");
  unverified_ = counter("unverified");
  refused_ = counter("refused");
  postponed_ = counter("postponed");
  expired_ = counter("expired");
}

asio::awaitable<void> DmarcSender::run() {
  for (;;) {
    for (bool more = true; more;) {
      const auto sent = co_await send_one();
      if (sent.has_error()) {
        if (sent.error().code() == ErrorCode::kCancelled) co_return;
        static log::Seldom seldom(1min);
        seldom.warning("filter_dmarc_not_sent", sent.error().describe());
      }
      more = sent.has_value() && *sent;
    }
    const auto woken = co_await with_deadline(news_.wait(), Deadline::after(kLookEvery));
    if (woken.has_error() && woken.error().code() == ErrorCode::kCancelled) co_return;
  }
}

Task<bool> DmarcSender::send_one() {
  MERPATI_CO_TRY(const auto period, co_await memory_.claim(kLease, Deadline::after(kOneStep)));
  if (!period) co_return false;
  const auto sent = co_await send(*period);
  if (sent.has_value()) {
    MERPATI_CO_CHECK(co_await memory_.finish(period->id, Deadline::after(kOneStep)));
    co_return true;
  }
  if (sent.error().code() == ErrorCode::kCancelled) co_return sent.error();
  postponed_.add();
  log::info("filter_dmarc_report_postponed", sent.error().describe(),
            {{"domain", period->domain}, {"attempts", period->attempts}});
  MERPATI_CO_CHECK(co_await memory_.postpone(
      period->id, kTryAgainIn, std::string(sent.error().message().substr(0, 500)), Deadline::after(kOneStep)));
  co_return true;
}

/// Addresses that want the report and do not have it. `waits_for`: why some may be missing now.
Task<std::vector<std::string>> DmarcSender::destinations_of(const DuePeriod& period, std::string& waits_for) {
  std::vector<std::string> out;
  if (exclusions_.has(period.domain)) co_return out;
  MERPATI_CO_TRY(const DmarcRequest request, request_from(period.request));
  std::size_t looked_at = 0;
  for (const std::string& uri : request.destinations) {
    const auto wanted = mailauth::parse_report_uri(uri);
    if (!wanted || exclusions_.has(wanted->host)) continue;
    if (++looked_at > kMostDestinations) break;
    MERPATI_CO_TRY(const auto verified, co_await mailauth::verify_destination(*resolver_, period.domain, *wanted,
                                                                              Deadline::after(kOneStep)));
    if (verified.state == DestinationState::kUnknown) waits_for = verified.reason;
    if (verified.state == DestinationState::kRefused) {
      unverified_.add();
      log::info("filter_dmarc_destination_refused", verified.reason,
                {{"domain", period.domain}, {"destination", wanted->address}});
    }
    for (const auto& destination : verified.to) {
      if (std::ranges::find(period.told, destination.address) != period.told.end()) continue;
      if (std::ranges::find(out, destination.address) == out.end() && out.size() < kMostDestinations)
        out.push_back(destination.address);
    }
  }
  co_return out;
}

/// An error: try again later.
Task<void> DmarcSender::send(const DuePeriod& period) {
  std::string waits_for;
  auto destinations = co_await destinations_of(period, waits_for);
  if (destinations.has_error() && !may_pass(destinations.error())) {
    log::error("filter_dmarc_report_lost", destinations.error().describe(), {{"domain", period.domain}});
    co_return Result<void>();
  }
  if (destinations.has_error()) co_return destinations.error();
  if (!destinations->empty()) {
    MERPATI_CO_TRY(auto records, co_await memory_.records(period.id, Deadline::after(kOneStep)));
    if (records.empty()) co_return Result<void>();  // another replica was faster
    auto make = [&] { return make_dmarc_mail(period, std::move(records), reporter_); };
    MERPATI_CO_TRY(auto made, co_await run_blocking(blocking_, std::move(make)));
    const auto mail = std::make_shared<const DmarcMail>(std::move(made));
    for (const std::string& to : *destinations) {
      const auto taken = co_await enqueue(period, mail, to);
      if (taken.has_error() && may_pass(taken.error())) co_return taken.error();
      (taken.has_value() ? sent_ : refused_).add();
      log::info("filter_dmarc_report_sent", taken.has_error() ? taken.error().describe() : "Handed to the queue",
                {{"domain", period.domain}, {"to", to}, {"report_id", mail->report_id}, {"messages", mail->messages}});
      MERPATI_CO_CHECK(co_await memory_.tell(period.id, to, Deadline::after(kOneStep)));
    }
  }
  if (!waits_for.empty()) co_return Error(ErrorCode::kUnavailable, waits_for);
  co_return Result<void>();
}

Task<void> DmarcSender::enqueue(const DuePeriod& period, std::shared_ptr<const DmarcMail> mail, std::string to) {
  if (!peers_.queue) co_return Error(ErrorCode::kUnavailable, "no queue");
  const auto now = WallTime::clock::now().time_since_epoch();
  rpc::CallOptions call;
  call.deadline = Deadline::after(kOneStep);
  queue::v1::EnqueueRequest request;
  request.set_delivery_id(dmarc_delivery_id(period, reporter_, to));
  // Bounces of remote hosts come to where the report comes from, so that SPF is aligned (RFC 9990 3.5.2). The queue
  // itself makes none: nobody is told that nobody is told.
  request.set_reverse_path(reporter_.from);
  auto& recipient = *request.add_recipients();
  recipient.set_address(to);
  recipient.set_notify("NEVER");
  request.set_body_type("7BIT");
  request.set_received_at_ms(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  std::string octets =
      compose_dmarc_mail(*mail, period, reporter_, to, std::chrono::duration_cast<std::chrono::seconds>(now).count());
  MERPATI_CO_TRY(*request.mutable_body(), co_await body_of(peers_.store, std::move(octets), call));
  const queue::v1::QueueClient queue(peers_.queue);
  MERPATI_CO_CHECK(co_await queue.enqueue(request, call));
  co_return Result<void>();
}

}  // namespace merpati::filter
