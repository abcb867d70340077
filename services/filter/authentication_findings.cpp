#include "filter/authentication_findings.hpp"

#include <algorithm>
#include <array>

#include "filter/printable.hpp"

namespace merpati::filter {
namespace {
using mailauth::ArcResult;
using mailauth::DkimResult;
using mailauth::DmarcPolicy;
using mailauth::DmarcResult;
using mailauth::IprevResult;
using mailauth::SpfResult;

constexpr std::size_t kMostDetail = 200;    // octets of a symbol's detail
constexpr std::size_t kMostResults = 4096;  // octets of Authentication-Results; a prefix has 8 KiB for all fields

// A result's symbol; an empty name: nothing worth a symbol.
template <class R>
struct Row {
  R result;
  const char* symbol;
  double score = 0;
  bool not_checked = false;
};

// A failing signature is like none (RFC 6376 6.1), and forwarding breaks SPF: what weighs is DMARC.
constexpr Row<SpfResult> kSpf[] = {
    {SpfResult::kNone, "SPF_NONE"},
    {SpfResult::kNeutral, "SPF_NEUTRAL"},
    {SpfResult::kPass, "SPF_PASS", -0.2},
    {SpfResult::kFail, "SPF_FAIL", 2},
    {SpfResult::kSoftFail, "SPF_SOFTFAIL", 0.5},
    {SpfResult::kTempError, "SPF_TEMPERROR", 0, true},
    {SpfResult::kPermError, "SPF_PERMERROR", 0.5},
};
constexpr Row<SpfResult> kHelo[] = {{SpfResult::kFail, "SPF_HELO_FAIL", 0.5}};
constexpr Row<DkimResult> kDkim[] = {
    {DkimResult::kNone, "DKIM_NONE"},           {DkimResult::kPass, "DKIM_PASS", -0.2},
    {DkimResult::kFail, "DKIM_FAIL", 0.5},      {DkimResult::kPolicy, "DKIM_POLICY", 0.5},
    {DkimResult::kNeutral, "DKIM_NEUTRAL"},     {DkimResult::kTempError, "DKIM_TEMPERROR", 0, true},
    {DkimResult::kPermError, "DKIM_PERMERROR"},
};
constexpr Row<ArcResult> kArc[] = {
    {ArcResult::kPass, "ARC_PASS"},
    {ArcResult::kFail, "ARC_FAIL", 0.5},
    {ArcResult::kTempError, "ARC_TEMPERROR", 0, true},
};
constexpr Row<IprevResult> kIprev[] = {
    {IprevResult::kFail, "IPREV_FAIL", 0.5},
    {IprevResult::kTempError, "IPREV_TEMPERROR", 0, true},
    {IprevResult::kPermError, "IPREV_NONE", 0.5},
};
constexpr Row<DmarcResult> kDmarc[] = {
    {DmarcResult::kNone, "DMARC_NONE"},
    {DmarcResult::kPass, "DMARC_PASS", -0.5},
    {DmarcResult::kTempError, "DMARC_TEMPERROR", 0, true},
    {DmarcResult::kPermError, "DMARC_PERMERROR"},
};

std::string printable(std::string_view text) { return filter::printable(text, kMostDetail); }

template <class R>
void add(Findings& findings, std::span<const Row<R>> rows, R result, std::string_view detail) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row<R>& r) { return r.result == result; });
  if (row == rows.end()) return;
  findings.symbols.push_back({row->symbol, row->score, printable(detail), row->not_checked});
}

std::string detail_of(const mailauth::SpfOutcome& outcome) {
  std::string out = outcome.domain;
  if (!outcome.mechanism.empty()) out += ": " + outcome.mechanism;
  if (!outcome.problem.empty()) out += ": " + outcome.problem;
  return out;
}

// The signatures that have the best result.
std::string detail_of(const mailauth::DkimOutcome& outcome) {
  std::string out;
  const DkimResult best = outcome.best();
  for (const auto& signature : outcome.signatures) {
    if (signature.result != best) continue;
    if (!out.empty()) out += ", ";
    out += signature.domain;
    if (!signature.problem.empty()) out += ": " + signature.problem;
  }
  return out;
}

void add_dmarc(Findings& findings, const mailauth::Authentication& found, const AuthenticationPolicy& policy) {
  const mailauth::DmarcOutcome& dmarc = *found.dmarc;
  const mailauth::DmarcEvaluation* decided = nullptr;
  for (const auto& evaluation : dmarc.evaluations) {
    const bool counts = evaluation.result == dmarc.result;
    if (counts && (decided == nullptr || evaluation.policy > decided->policy)) decided = &evaluation;
  }
  const std::string author = decided == nullptr ? std::string() : printable(decided->author_domain);
  // Who forges an author may name a part of its DNS that is broken: that must not get the mail into the INBOX.
  if (dmarc.result == DmarcResult::kTempError && decided != nullptr && decided->policy != DmarcPolicy::kNone) {
    findings.symbols.push_back(
        {"DMARC_UNDECIDED", 3, author + printable(": " + decided->problem), false, policy.honour_dmarc});
    findings.symbols.back().negotiable = true;
    return;
  }
  if (dmarc.result != DmarcResult::kFail) {
    const std::string why = decided == nullptr             ? std::string()
                            : !decided->aligned_by.empty() ? " by " + decided->aligned_by
                            : !decided->problem.empty()    ? ": " + decided->problem
                                                           : std::string();
    return add<DmarcResult>(findings, kDmarc, dmarc.result, author + why);
  }
  if (dmarc.policy == DmarcPolicy::kNone) {
    findings.symbols.push_back({"DMARC_FAIL", 1, author});
    return;
  }
  if (found.arc && mailauth::vouched_for(*found.arc, policy.trusted_sealers)) {
    findings.symbols.push_back({"DMARC_ARC", 0, author + " passed before " + found.arc->sets.back().domain});
    return;
  }
  if (dmarc.policy == DmarcPolicy::kQuarantine) {
    findings.symbols.push_back({"DMARC_QUARANTINE", 4, author, false, policy.honour_dmarc});
    findings.symbols.back().negotiable = true;
  } else if (policy.honour_dmarc) {
    const std::string text = "The domain " + author + " asks to refuse mail that it does not vouch for (DMARC)";
    findings.refusals.push_back({"DMARC_REJECT", 550, "5.7.1", text, true, false, true});
  } else {
    findings.symbols.push_back({"DMARC_REJECT", 8, author});
  }
}
}  // namespace

Findings findings_of(const mailauth::Authentication& found, const AuthenticationPolicy& policy) {
  Findings findings;
  if (found.spf) add<SpfResult>(findings, kSpf, found.spf->result, detail_of(*found.spf));
  if (found.spf_helo) add<SpfResult>(findings, kHelo, found.spf_helo->result, detail_of(*found.spf_helo));
  if (found.dkim)
    add<DkimResult>(findings, kDkim, found.dkim->best(), detail_of(*found.dkim));
  else
    findings.symbols.push_back({"DKIM_TOO_LARGE", 0, {}, true});
  if (found.arc) add<ArcResult>(findings, kArc, found.arc->result, found.arc->problem);
  if (found.dmarc) add_dmarc(findings, found, policy);
  if (found.iprev) add<IprevResult>(findings, kIprev, found.iprev->result, found.iprev->name);
  return findings;
}

std::vector<mailauth::MethodResult> bounded(std::vector<mailauth::MethodResult> methods) {
  if (mailauth::write_methods(methods).size() <= kMostResults) return methods;
  for (auto& method : methods) method.reason.clear();
  // Signatures are a stranger's to add: the last ones go first.
  while (mailauth::write_methods(methods).size() > kMostResults) {
    const auto last = std::find_if(methods.rbegin(), methods.rend(), [](const auto& m) { return m.method == "dkim"; });
    if (last == methods.rend()) break;
    methods.erase(std::next(last).base());
  }
  return methods;
}

}  // namespace merpati::filter
