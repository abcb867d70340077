// What one judged message adds to DMARC aggregate reports (RFC 9990). Pure functions.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "filter/dmarc_rows.hpp"
#include "filter/scoring.hpp"
#include "merpati/mailauth/authenticate.hpp"

namespace merpati::filter {

struct DmarcExclusions {
  std::vector<std::string> domains;  ///< A-labels: they and what is below them
  std::set<std::string> recipients;  ///< addresses in lower case
  bool has(std::string_view domain) const;
};

struct DmarcObservation {
  std::string domain;  ///< the policy's
  DmarcRequest request;
  mailauth::DmarcReportRecord record;
};

/// Whether some author's domain wants reports about its mail.
bool wants_reports(const MessageView& view);

/// One for each author whose domain wants reports; none when the client is asked to bring the message again, and when
/// it went to excluded recipients alone.
std::vector<DmarcObservation> observations_of(const MessageView& view, const Verdict& verdict,
                                              const DmarcExclusions& exclusions);

/// What became of a message that did not pass, and why it is not what the domain asked for.
struct DmarcDisposition {
  std::string disposition;
  std::vector<mailauth::DmarcReportRecord::Reason> reasons;
};
DmarcDisposition disposition_of(const mailauth::DmarcEvaluation& evaluation, const Verdict& verdict);

}  // namespace merpati::filter
