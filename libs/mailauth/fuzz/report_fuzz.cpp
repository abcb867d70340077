// DMARC aggregate reports of strangers.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "merpati/mailauth/dmarc_report.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace merpati::mailauth;
  DmarcReportLimits limits;
  limits.text = 64;
  limits.records = 100;
  const auto report = parse_dmarc_report({reinterpret_cast<const char*>(data), size}, limits);
  if (report.has_error()) return 0;
  if (report->policy.domain.empty() || report->policy.domain.size() > limits.text) std::abort();
  if (report->records.size() > limits.records) std::abort();
  return 0;
}
