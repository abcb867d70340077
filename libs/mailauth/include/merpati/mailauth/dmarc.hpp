// DMARC (RFC 9989; records of RFC 7489 are understood): does somebody whom the author's domain trusts vouch for it?
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/dns/resolver.hpp"
#include "merpati/mailauth/step.hpp"

namespace merpati::mailauth {

enum class DmarcResult : std::uint8_t { kNone, kPass, kFail, kTempError, kPermError };
std::string_view to_string(DmarcResult result);
enum class DmarcPolicy : std::uint8_t { kNone, kQuarantine, kReject };
std::string_view to_string(DmarcPolicy policy);

struct DmarcRecord {
  enum class Psd : std::uint8_t { kUnknown, kYes, kNo };
  DmarcPolicy policy = DmarcPolicy::kNone;
  std::optional<DmarcPolicy> subdomain_policy;    ///< sp=
  std::optional<DmarcPolicy> nonexistent_policy;  ///< np=
  bool strict_dkim = false;                       ///< adkim=s
  bool strict_spf = false;                        ///< aspf=s
  bool testing = false;                           ///< t=y, and pct=0 of RFC 7489
  Psd psd = Psd::kUnknown;
  std::vector<std::string> aggregate_reports;  ///< URIs of rua=
  std::vector<std::string> failure_reports;    ///< URIs of ruf=
  std::string failure_options = "0";           ///< fo=
};

/// Whether a TXT record starts with "v=DMARC1", well-formed or not.
bool is_dmarc_record(std::string_view text);
/// kInvalidArgument: it counts as no record. A bad p=, sp= or np= is p=none where rua= has a URI, else an error
/// (RFC 9989 4.10.1). Unknown tags and bad values of others are ignored.
Result<DmarcRecord> parse_dmarc_record(std::string_view text);

/// The URIs of rua= in what is_dmarc_record() takes for one, whatever else it says; at most ten.
std::vector<std::string> report_uris(std::string_view record);

/// The domains of the authors in From, as A-labels, each once (RFC 9989 4.1 allows one; several are each evaluated).
std::vector<std::string> author_domains(std::string_view header_block);

struct DmarcQuery {
  std::vector<std::string> authors;       ///< author_domains(); more than 10 are a permerror
  std::string spf_domain;                 ///< of an SPF pass of MAIL FROM; empty: none
  std::vector<std::string> dkim_domains;  ///< d= of the signatures that passed
  // Of checks that ended in a temporary error: where such a domain is aligned, nothing is known of the author.
  std::string unknown_spf_domain;
  std::vector<std::string> unknown_dkim_domains;
  /// Where the author's domain wants reports: look whether SPF is aligned even when DKIM is, for they tell of both.
  bool for_reports = false;
};

/// What one author's domain says.
struct DmarcEvaluation {
  DmarcResult result = DmarcResult::kNone;
  std::string author_domain;
  std::string record_domain;  ///< whose record applies; empty: none
  std::string organizational_domain;
  DmarcPolicy published = DmarcPolicy::kNone;  ///< p=, sp= or np=, whichever applies
  DmarcPolicy policy = DmarcPolicy::kNone;     ///< what the domain asks for on failure, t= considered
  std::optional<DmarcRecord> record;
  std::string aligned_by;                          ///< "dkim=example.com", "spf=example.com"; of a pass
  bool dkim_aligned = false, spf_aligned = false;  ///< of a pass by DKIM the latter is known only `for_reports`
  std::string problem;
};

struct DmarcOutcome {
  DmarcResult result = DmarcResult::kNone;  ///< pass only when every author's domain passes
  DmarcPolicy policy = DmarcPolicy::kNone;  ///< the strictest of those that fail
  std::vector<DmarcEvaluation> evaluations;
  Steps steps;
};

/// The Result is an error only for kCancelled.
Task<DmarcOutcome> check_dmarc(dns::Resolver& resolver, DmarcQuery query, Deadline deadline);

/// RFC 9989 4.10.2. An error is kUnavailable (DNS does not say) or kCancelled.
Task<std::string> find_organizational_domain(dns::Resolver& resolver, std::string domain, Deadline deadline);

/// The names that a tree walk from `domain` asks, at most eight (RFC 9989 4.10).
std::vector<std::string> tree_walk(std::string_view domain);

}  // namespace merpati::mailauth
