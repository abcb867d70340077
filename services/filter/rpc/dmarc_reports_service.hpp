// merpati.filter.v1.DmarcReports: converts between the contract and DmarcReporting.
#pragma once

#include "filter/dmarc_reporting.hpp"
#include "merpati/filter/v1/dmarc_reports.rpc.hpp"

namespace merpati::filter {

class DmarcReportsService : public v1::DmarcReportsService {
 public:
  /// Before the first call; outlives this. Without it no reports are sent here.
  void set(DmarcReporting& reporting) { reporting_ = &reporting; }

  Task<v1::ListReportsResponse> list_reports(rpc::Context&, const v1::ListReportsRequest&) override;
  Task<v1::SendReportsResponse> send_reports(rpc::Context&, const v1::SendReportsRequest&) override;

 private:
  DmarcReporting* reporting_ = nullptr;
};

}  // namespace merpati::filter
