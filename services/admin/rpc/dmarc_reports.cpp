// Reports that we send to other domains. Owned by filter.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {

Task<filter::v1::ListReportsResponse> AdminService::list_dmarc_reports(rpc::Context& context,
                                                                       const filter::v1::ListReportsRequest& request) {
  return pass(context, Act{"ListDmarcReports", "", Act::Reach::kPlatform, false, {}}, dmarc_reports_,
              &filter::v1::DmarcReportsClient::list_reports, request);
}

Task<filter::v1::SendReportsResponse> AdminService::send_dmarc_reports(rpc::Context& context,
                                                                       const filter::v1::SendReportsRequest& request) {
  const std::string target = request.domain().empty() ? "all domains" : request.domain();
  return pass(context, Act{"SendDmarcReports", target, Act::Reach::kPlatform, true, {}}, dmarc_reports_,
              &filter::v1::DmarcReportsClient::send_reports, request);
}

}  // namespace merpati::admin
