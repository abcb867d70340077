#include "filter/dmarc_setup.hpp"

#include "merpati/config/v1/filter.pb.h"
#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/dmarc_destination.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/smtp/address.hpp"

namespace merpati::filter {
namespace {

constexpr std::uint32_t kMostDomains = 100'000;
constexpr std::uint32_t kMostRecords = 50'000;

std::chrono::seconds seconds(const google::protobuf::Duration& duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(runtime::to_chrono(duration));
}

Error wrong(const std::string& what) { return {ErrorCode::kInvalidArgument, "filter.dmarc_reports." + what}; }

/// In a header field and in XML.
bool is_one_line(const std::string& text) {
  return smtp::is_valid_utf8(text) && text.size() <= 500 &&
         std::ranges::none_of(text, [](unsigned char c) { return c < 32 || c == 127; });
}

}  // namespace

Result<std::optional<DmarcReportSettings>> dmarc_report_settings(const config::v1::Filter& filter) {
  const config::v1::DmarcReports& config = filter.dmarc_reports();
  if (!config.enabled()) return std::optional<DmarcReportSettings>();
  if (!filter.mail_authentication().enabled())
    return wrong("enabled: nothing is known of senders with filter.mail_authentication.enabled false");
  DmarcReportSettings out;
  if (config.organization().empty() || !is_one_line(config.organization()))
    return wrong("organization: name who reports, on one line");
  const auto from = mailauth::parse_report_uri("mailto:" + config.from());
  if (!from) return wrong("from: \"" + config.from() + "\" is no plain address");
  if (!is_one_line(config.contact())) return wrong("contact: is not one line of UTF-8");
  out.reporter = {config.organization(), from->address, from->host, config.contact()};
  for (const std::string& domain : config.exclude_domains()) {
    const auto name = dns::to_ascii(domain);
    if (!name || name->empty()) return wrong("exclude_domains: \"" + domain + "\" is no domain name");
    out.exclusions.domains.push_back(*name);
  }
  for (const std::string& address : config.exclude_recipients()) {
    if (!smtp::parse_address(address, smtp::Utf8::kYes))
      return wrong("exclude_recipients: \"" + address + "\" is no address");
    out.exclusions.recipients.insert(mime::to_lower(address));
  }
  out.exclusions.recipients.insert(mime::to_lower(from->address));
  if (config.max_domains() == 0 || config.max_domains() > kMostDomains)
    return wrong("max_domains: is not from 1 to 100000");
  if (config.max_records() == 0 || config.max_records() > kMostRecords)
    return wrong("max_records: is not from 1 to 50000");
  out.limits.domains = static_cast<std::int32_t>(config.max_domains());
  out.limits.records = static_cast<std::int32_t>(config.max_records());
  out.limits.spread = seconds(config.spread());
  out.limits.keep = seconds(config.keep());
  if (out.limits.spread < std::chrono::seconds(0) || out.limits.spread > std::chrono::hours(20))
    return wrong("spread: is not from 0 to 20h: a day's reports leave on the next day");
  if (out.limits.keep < std::chrono::hours(48)) return wrong("keep: is under 48h");
  return std::optional(std::move(out));
}

}  // namespace merpati::filter
