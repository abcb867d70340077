#include "filter/scoring.hpp"

#include <boost/algorithm/string/case_conv.hpp>

namespace merpati::filter {
namespace {
bool reached(double score, double threshold) { return threshold > 0 && score >= threshold; }

bool is_weighed(const Refusal& reason, const Scoring& scoring) {
  if (!reason.may_be_weighed) return false;
  if (scoring.weights.contains(reason.symbol)) return true;
  return (reason.negotiable || reason.opinion) && scoring.own_weights.contains(reason.symbol);
}

Outcome by_score(double score, const Thresholds& thresholds) {
  if (reached(score, thresholds.discard)) return Outcome::kDiscard;
  if (reached(score, thresholds.refuse)) return Outcome::kRefuse;
  if (reached(score, thresholds.temporary)) return Outcome::kTemporary;
  return reached(score, thresholds.junk) ? Outcome::kJunk : Outcome::kAccept;
}

void decide_by_score(const Thresholds& thresholds, Verdict& verdict) {
  verdict.by_score = true;
  verdict.outcome = by_score(verdict.score, thresholds);
  if (verdict.outcome == Outcome::kRefuse)
    verdict.reply = Refusal{"SCORE", 550, "5.7.1", "The message looks like spam"};
  if (verdict.outcome == Outcome::kTemporary)
    verdict.reply = Refusal{"SCORE", 451, "4.7.1", "The message looks suspicious, try again later"};
  if (verdict.surely_junk && verdict.outcome == Outcome::kAccept) verdict.outcome = Outcome::kJunk;
}

/// The operator's own list of senders comes before what others think of them.
bool is_accepted(std::span<const EngineReport> reports, const Scoring& scoring) {
  for (const EngineReport& report : reports) {
    for (const Symbol& symbol : report.findings.symbols)
      if (report.checked && symbol.accepts && !scoring.weights.contains(symbol.name)) return true;
  }
  return false;
}

void weigh(const Scoring& scoring, bool accepted, Symbol& symbol) {
  if (const auto weight = scoring.weights.find(symbol.name); weight != scoring.weights.end()) {
    symbol.score = weight->second;
    symbol.weight = Source::kConfiguration;
    symbol.junk = false;
  }
  if (const auto own = scoring.own_weights.find(symbol.name); own != scoring.own_weights.end()) {
    symbol.score = own->second.score;
    symbol.weight = own->second.source;
    if (symbol.negotiable || symbol.opinion) symbol.junk = false;
  }
  if (accepted && symbol.opinion) symbol.junk = false;
  if (symbol.not_checked) symbol.score = 0;
}
}  // namespace

std::optional<Refusal> refusal_of(const Findings& findings, const Scoring& scoring) {
  for (const Refusal& reason : findings.refusals)
    if (!is_weighed(reason, scoring)) return reason;
  return std::nullopt;
}

Verdict decide(std::span<const EngineReport> reports, const Scoring& scoring) {
  Verdict verdict;
  std::optional<Refusal> refusal;
  const bool accepted = is_accepted(reports, scoring);
  bool wait = false;
  const auto count = [&](const std::string& engine, Symbol symbol) {
    symbol.engine = engine;
    weigh(scoring, accepted, symbol);
    verdict.surely_junk = verdict.surely_junk || symbol.junk;
    verdict.score += symbol.score;
    verdict.symbols.push_back(std::move(symbol));
  };
  for (const EngineReport& report : reports) {
    if (!report.checked) {
      wait = wait || report.when_unchecked == WhenUnchecked::kTemporary;
      if (report.when_unchecked != WhenUnchecked::kSkip)
        count(report.engine, {boost::algorithm::to_upper_copy(report.engine), 0, {}, true});
      continue;
    }
    for (const Refusal& reason : report.findings.refusals) {
      const bool weighed = is_weighed(reason, scoring) || (accepted && reason.opinion);
      // For good before for now: the client would come again in vain.
      if (!weighed && (!refusal || refusal->code / 100 < reason.code / 100)) refusal = reason;
      count(report.engine, {reason.symbol, 0, weighed ? reason.text : std::string(), false});
    }
    for (const Symbol& symbol : report.findings.symbols) count(report.engine, symbol);
    for (auto [recipient, symbol] : report.findings.of_recipients) {
      symbol.engine = report.engine;
      weigh(scoring, accepted, symbol);
      verdict.of_recipients.push_back({recipient, std::move(symbol)});
    }
  }
  if (refusal) {
    verdict.outcome = refusal->code / 100 == 5 ? Outcome::kRefuse : Outcome::kTemporary;
    verdict.reply = std::move(refusal);
  } else if (wait) {
    verdict.outcome = Outcome::kTemporary;
    verdict.reply = Refusal{"UNCHECKED", 451, "4.7.1", "The message cannot be checked now, try again later"};
  } else {
    decide_by_score(scoring.thresholds, verdict);
  }
  return verdict;
}

double score_for(std::size_t recipient, const Verdict& verdict) {
  double score = verdict.score;
  for (const auto& [whose, symbol] : verdict.of_recipients)
    if (whose == recipient) score += symbol.score;
  return score;
}

Outcome outcome_for(std::size_t recipient, const Verdict& verdict, const Scoring& scoring) {
  if (verdict.outcome != Outcome::kAccept && verdict.outcome != Outcome::kJunk) return verdict.outcome;
  bool own = false;
  for (const auto& of_one : verdict.of_recipients) own = own || of_one.recipient == recipient;
  if (!own || verdict.surely_junk) return verdict.outcome;
  return reached(score_for(recipient, verdict), scoring.thresholds.junk) ? Outcome::kJunk : Outcome::kAccept;
}

Outcome outcome_without(std::string_view engine, const Verdict& verdict, const Scoring& scoring) {
  if (!verdict.by_score) return verdict.outcome;
  double score = 0;  // added up again: what is taken off a sum does not leave the sum of the others
  for (const Symbol& symbol : verdict.symbols)
    if (symbol.engine != engine) score += symbol.score;
  const Outcome outcome = by_score(score, scoring.thresholds);
  return verdict.surely_junk && outcome == Outcome::kAccept ? Outcome::kJunk : outcome;
}

bool wants_greylist(double score, const Thresholds& thresholds) {
  return thresholds.greylist <= 0 || score >= thresholds.greylist;
}

}  // namespace merpati::filter
