// What is kept of DMARC results until a day's report is written: texts in JSON, so that PostgreSQL counts what is alike
// without knowing what it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merpati/mailauth/dmarc_report.hpp"

namespace merpati::filter {

/// What a domain asked for when it was last looked at.
struct DmarcRequest {
  mailauth::DmarcReport::Policy policy;
  std::vector<std::string> destinations;  ///< URIs of rua=
};

/// The same for alike ones. Texts are UTF-8.
std::string to_text(const DmarcRequest& request);
/// Without its count.
std::string to_text(const mailauth::DmarcReportRecord& record);

/// kInternal: not written by these.
Result<DmarcRequest> request_from(std::string_view text);
Result<mailauth::DmarcReportRecord> record_from(std::string_view text);

}  // namespace merpati::filter
