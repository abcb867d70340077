#include "filter/dmarc_observation.hpp"

#include <algorithm>

#include "filter/printable.hpp"
#include "merpati/dns/domain_name.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/net/address.hpp"

namespace merpati::filter {
namespace {

using mailauth::DkimResult;
using mailauth::DmarcEvaluation;
using mailauth::DmarcPolicy;
using mailauth::DmarcRecord;
using mailauth::DmarcReportRecord;
using mailauth::DmarcResult;

constexpr std::size_t kLongestSelector = 100;

bool is_within(std::string_view name, std::string_view domain) {
  return name == domain ||
         (name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.');
}

std::string text_of(DmarcPolicy policy) { return std::string(mailauth::to_string(policy)); }
std::string pass_or_fail(bool pass) { return pass ? "pass" : "fail"; }

/// Strangers' words, which are no domain name.
std::string plain(std::string_view text) {
  std::string out = printable(text, kLongestSelector);
  std::ranges::replace_if(
      out, [](unsigned char c) { return c < 33 || c > 126; }, '?');
  return out;
}

/// The most that was done to the message, in the words of policies.
DmarcPolicy done(Outcome outcome) {
  switch (outcome) {
    case Outcome::kRefuse:
    case Outcome::kDiscard:
      return DmarcPolicy::kReject;
    case Outcome::kJunk:
      return DmarcPolicy::kQuarantine;
    case Outcome::kAccept:
    case Outcome::kTemporary:
      break;
  }
  return DmarcPolicy::kNone;
}

bool has_symbol(const Verdict& verdict, std::string_view name) {
  return std::ranges::any_of(verdict.symbols, [&](const Symbol& symbol) { return symbol.name == name; });
}

/// RFC 9990 3.1.3: which signatures are told first.
int rank(const mailauth::DkimSignature& signature, const DmarcEvaluation& evaluation) {
  if (signature.result != DkimResult::kPass) return 3;
  if (signature.domain == evaluation.author_domain) return 0;
  return is_within(signature.domain, evaluation.organizational_domain) ? 1 : 2;
}

std::vector<DmarcReportRecord::Dkim> dkim_results(const mailauth::DkimOutcome& outcome,
                                                  const DmarcEvaluation& evaluation) {
  using Ranked = std::pair<int, DmarcReportRecord::Dkim>;
  std::vector<Ranked> ranked;
  for (const auto& signature : outcome.signatures) {
    const auto domain = dns::to_ascii(signature.domain);
    if (!domain || domain->empty() || signature.selector.empty()) continue;  // both are required
    ranked.push_back({rank(signature, evaluation),
                      {*domain, plain(signature.selector), std::string(mailauth::to_string(signature.result)), {}}});
  }
  const auto key = [](const Ranked& one) {
    return std::tie(one.first, one.second.domain, one.second.selector, one.second.result);
  };
  std::ranges::sort(ranked, {}, key);  // the same signatures in another order are no other record
  const auto same = std::ranges::unique(ranked, {}, key);
  ranked.erase(same.begin(), same.end());
  std::vector<DmarcReportRecord::Dkim> out;
  for (auto& one : ranked) out.push_back(std::move(one.second));
  return out;
}

/// Unspecified tags have their default values (RFC 9990 3.1.1.5).
DmarcRequest request_of(const DmarcEvaluation& evaluation) {
  const DmarcRecord& record = *evaluation.record;
  const DmarcPolicy of_subdomains = record.subdomain_policy.value_or(record.policy);
  DmarcRequest out;
  out.policy.domain = evaluation.record_domain;
  out.policy.discovery_method = "treewalk";
  out.policy.p = text_of(record.policy);
  out.policy.sp = text_of(of_subdomains);
  out.policy.np = text_of(record.nonexistent_policy.value_or(of_subdomains));
  out.policy.adkim = record.strict_dkim ? "s" : "r";
  out.policy.aspf = record.strict_spf ? "s" : "r";
  out.policy.fo = record.failure_options;
  out.policy.testing = record.testing ? "y" : "n";
  for (const auto& uri : record.aggregate_reports) out.destinations.push_back(printable(uri, 500));
  return out;
}

DmarcReportRecord record_of(const MessageView& view, const DmarcEvaluation& evaluation, const Verdict& verdict) {
  const mailauth::Authentication& found = *view.authentication;
  DmarcReportRecord out;
  out.source_ip = net::unmapped(view.client).to_string();
  auto [disposition, reasons] = disposition_of(evaluation, verdict);
  out.disposition = std::move(disposition);
  out.reasons = std::move(reasons);
  out.dkim = pass_or_fail(evaluation.dkim_aligned);
  out.spf = pass_or_fail(evaluation.spf_aligned);
  out.header_from = evaluation.author_domain;
  const auto at = view.reverse_path.rfind('@');
  if (at != std::string_view::npos) out.envelope_from = dns::to_ascii(view.reverse_path.substr(at + 1)).value_or("");
  if (found.dkim) out.dkim_results = dkim_results(*found.dkim, evaluation);
  if (found.spf) {
    const auto domain = dns::to_ascii(found.spf->domain);
    if (domain && !domain->empty())
      out.spf_results.push_back({*domain, "mfrom", std::string(mailauth::to_string(found.spf->result)), {}});
  }
  return out;
}

}  // namespace

bool DmarcExclusions::has(std::string_view domain) const {
  return std::ranges::any_of(domains, [&](const std::string& excluded) { return is_within(domain, excluded); });
}

DmarcDisposition disposition_of(const DmarcEvaluation& evaluation, const Verdict& verdict) {
  // RFC 9990 A: "pass" where the domain would have had something done.
  if (evaluation.result == DmarcResult::kPass)
    return {evaluation.published == DmarcPolicy::kNone ? "none" : "pass", {}};
  DmarcDisposition out;
  const DmarcPolicy asked = evaluation.policy;
  if (asked != evaluation.published) out.reasons.push_back({"policy_test_mode", ""});
  if (has_symbol(verdict, "DMARC_ARC")) {
    out.disposition = "none";
    if (asked != DmarcPolicy::kNone) out.reasons.push_back({"trusted_forwarder", "arc=pass"});
    return out;
  }
  // What else was thought of the message is nobody's business (RFC 9990 8.3): never more than was asked for.
  const DmarcPolicy applied = std::min(asked, done(verdict.outcome));
  if (applied != asked) out.reasons.push_back({"local_policy", ""});
  out.disposition = text_of(applied);
  return out;
}

bool wants_reports(const MessageView& view) {
  if (view.authentication == nullptr || !view.authentication->dmarc || view.client.is_unspecified()) return false;
  return std::ranges::any_of(view.authentication->dmarc->evaluations, [](const DmarcEvaluation& evaluation) {
    return evaluation.record && !evaluation.record->aggregate_reports.empty();
  });
}

std::vector<DmarcObservation> observations_of(const MessageView& view, const Verdict& verdict,
                                              const DmarcExclusions& exclusions) {
  std::vector<DmarcObservation> out;
  // What the client is asked to bring again is counted then.
  if (verdict.outcome == Outcome::kTemporary || !wants_reports(view)) return out;
  for (const DmarcEvaluation& evaluation : view.authentication->dmarc->evaluations) {
    if (!evaluation.record || evaluation.record->aggregate_reports.empty()) continue;
    if (exclusions.has(evaluation.record_domain)) continue;
    const auto excluded = [&](std::string_view recipient) {
      return exclusions.recipients.contains(mime::to_lower(recipient));
    };
    if (!view.recipients.empty() && std::ranges::all_of(view.recipients, excluded)) continue;
    out.push_back({evaluation.record_domain, request_of(evaluation), record_of(view, evaluation, verdict)});
  }
  return out;
}

}  // namespace merpati::filter
