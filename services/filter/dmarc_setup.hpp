// DMARC aggregate reports as the configuration wants them.
#pragma once

#include "filter/dmarc_reporting.hpp"

namespace merpati::config::v1 {
class Filter;
}

namespace merpati::filter {

/// Nothing where they are off. kInvalidArgument names the key that is wrong.
Result<std::optional<DmarcReportSettings>> dmarc_report_settings(const config::v1::Filter& config);

}  // namespace merpati::filter
