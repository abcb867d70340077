#include "filter/rpc/dmarc_reports_service.hpp"

#include "merpati/dns/domain_name.hpp"

namespace merpati::filter {
namespace {

constexpr std::int32_t kMostOfAPage = 1000;

Error refused(ErrorCode code, const std::string& why) { return Error(code, why).with_public(why); }
Error off() {
  return refused(ErrorCode::kFailedPrecondition, "no reports are sent here: filter.dmarc_reports.enabled is false");
}

/// "" stays so.
Result<std::string> domain_from(const std::string& text) {
  if (text.empty()) return text;
  const auto name = dns::to_ascii(text);
  if (!name) return refused(ErrorCode::kInvalidArgument, "the domain is no domain name");
  return *name;
}

void fill(const DmarcPeriodView& view, v1::DmarcReportView& out) {
  out.set_report_id(view.id);
  out.set_domain(view.domain);
  out.set_state(static_cast<v1::DmarcReportState>(view.state + 1));
  out.set_ends_at(view.ends);
  out.set_due_at(view.due);
  out.set_records(view.records);
  out.set_messages(view.messages);
  out.set_left_out(view.left_out);
  if (const auto request = request_from(view.request); request.has_value()) {
    for (const auto& uri : request->destinations) out.add_destinations(uri);
  }
  out.set_attempts(view.attempts);
  out.set_last_error(view.last_error);
}

}  // namespace

Task<v1::ListReportsResponse> DmarcReportsService::list_reports(rpc::Context& context,
                                                                const v1::ListReportsRequest& request) {
  if (reporting_ == nullptr) co_return off();
  MERPATI_CO_TRY(std::string domain, domain_from(request.domain()));
  const auto wanted = request.page_size();
  const std::int32_t most = wanted <= 0 || wanted > kMostOfAPage ? kMostOfAPage : wanted;
  MERPATI_CO_TRY(const auto views, co_await reporting_->stored().list(request.after_report_id(), std::move(domain),
                                                                      request.sent(), most, context.deadline()));
  v1::ListReportsResponse response;
  for (const auto& view : views) fill(view, *response.add_reports());
  if (static_cast<std::int32_t>(views.size()) == most) response.set_next_report_id(views.back().id);
  co_return response;
}

Task<v1::SendReportsResponse> DmarcReportsService::send_reports(rpc::Context& context,
                                                                const v1::SendReportsRequest& request) {
  if (reporting_ == nullptr) co_return off();
  MERPATI_CO_TRY(std::string domain, domain_from(request.domain()));
  MERPATI_CO_TRY(const auto reports, co_await reporting_->send_now(std::move(domain), context.deadline()));
  v1::SendReportsResponse response;
  response.set_reports(reports);
  co_return response;
}

}  // namespace merpati::filter
