// DMARC aggregate reports (RFC 9990; RFC 7489 appendix C, which is older, is read too): what a receiver saw of a
// domain. Read and written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::mailauth {

/// Messages from one address that were treated alike. Texts are as the reporter wrote them.
struct DmarcReportRecord {
  struct Reason {
    std::string type;  ///< "local_policy", "mailing_list"
    std::string comment;
  };
  struct Dkim {
    std::string domain, selector, result, human_result;
  };
  struct Spf {
    std::string domain, scope, result, human_result;
  };
  std::string source_ip;
  std::uint64_t count = 0;
  std::string disposition;  ///< "none", "pass", "quarantine", "reject"
  std::string dkim, spf;    ///< "pass" or "fail": aligned or not
  std::vector<Reason> reasons;
  std::string header_from, envelope_from, envelope_to;
  std::vector<Dkim> dkim_results;
  std::vector<Spf> spf_results;
};

struct DmarcReport {
  std::string version;
  std::string org_name, email, extra_contact, report_id, generator;
  std::int64_t begin = 0, end = 0;  ///< Unix seconds
  std::vector<std::string> errors;
  struct Policy {
    std::string domain, discovery_method, p, sp, np, adkim, aspf, fo, pct, testing;
  } policy;
  std::vector<DmarcReportRecord> records;
};

struct DmarcReportLimits {
  std::size_t text = 4096;        ///< octets of one element; the rest is cut off
  std::size_t records = 500'000;  ///< more are an error
};

/// As RFC 9990 wants it, appendix A: elements in its order, and without those that may be left out where they are
/// empty. What XML cannot carry becomes "?". A report has at least one record.
std::string write_dmarc_report(const DmarcReport& report);

/// Elements that it does not know, and those of other namespaces, are left out. kInvalidArgument says in which line and
/// why: not XML, no report, a count that is no number, or a document type, which reports have no use for and bombs do.
Result<DmarcReport> parse_dmarc_report(std::string_view xml, const DmarcReportLimits& limits = {});

}  // namespace merpati::mailauth
