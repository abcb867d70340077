// The mail that carries a DMARC aggregate report (RFC 9990 3.5). Pure functions.
#pragma once

#include <string>

#include "filter/dmarc_store.hpp"

namespace merpati::filter {

/// Who reports.
struct DmarcReporter {
  std::string organization;
  std::string from;    ///< "noreply@example.org"
  std::string domain;  ///< of `from`, in A-labels: the report's submitter
  std::string contact;
};

struct DmarcMail {
  std::string report_id;  ///< the same for every destination and every repetition
  std::string file_name;
  std::string attachment;  ///< gzip
  std::int64_t messages = 0;
  std::int64_t left_out = 0;
};

/// `records` is not empty.
Result<DmarcMail> make_dmarc_mail(const DuePeriod& period, std::vector<mailauth::DmarcReportRecord> records,
                                  const DmarcReporter& reporter);
/// The message, lines in CRLF, US-ASCII. `now`: Unix seconds.
std::string compose_dmarc_mail(const DmarcMail& mail, const DuePeriod& period, const DmarcReporter& reporter,
                               const std::string& to, std::int64_t now);
/// The UUID of a delivery: the same for the same report and address, so that the queue takes it once.
std::string dmarc_delivery_id(const DuePeriod& period, const DmarcReporter& reporter, const std::string& to);

}  // namespace merpati::filter
