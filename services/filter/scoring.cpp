#include "filter/scoring.hpp"

#include <boost/algorithm/string/case_conv.hpp>

namespace merpati::filter {
namespace {
bool reached(double score, double threshold) { return threshold > 0 && score >= threshold; }

bool is_weighed(const Refusal& reason, const Scoring& scoring) {
  return reason.may_be_weighed && scoring.weights.contains(reason.symbol);
}

void decide_by_score(const Thresholds& thresholds, Verdict& verdict) {
  if (reached(verdict.score, thresholds.refuse)) {
    verdict.outcome = Outcome::kRefuse;
    verdict.reply = Refusal{"SCORE", 550, "5.7.1", "The message looks like spam"};
  } else if (reached(verdict.score, thresholds.temporary)) {
    verdict.outcome = Outcome::kTemporary;
    verdict.reply = Refusal{"SCORE", 451, "4.7.1", "The message looks suspicious, try again later"};
  } else if (reached(verdict.score, thresholds.junk)) {
    verdict.outcome = Outcome::kJunk;
  }
}

/// The operator's own list of senders comes before what others think of them.
bool is_accepted(std::span<const EngineReport> reports, const Scoring& scoring) {
  for (const EngineReport& report : reports) {
    for (const Symbol& symbol : report.findings.symbols)
      if (report.checked && symbol.accepts && !scoring.weights.contains(symbol.name)) return true;
  }
  return false;
}
}  // namespace

std::optional<Refusal> refusal_of(const Findings& findings, const Scoring& scoring) {
  for (const Refusal& reason : findings.refusals)
    if (!is_weighed(reason, scoring)) return reason;
  return std::nullopt;
}

Verdict decide(std::span<const EngineReport> reports, const Scoring& scoring, std::string_view without) {
  Verdict verdict;
  std::optional<Refusal> refusal;
  const bool accepted = is_accepted(reports, scoring);
  bool wait = false;
  const auto weigh = [&](const std::string& engine, Symbol symbol) {
    symbol.engine = engine;
    const auto weight = scoring.weights.find(symbol.name);
    if (weight != scoring.weights.end()) {
      symbol.score = weight->second;
      symbol.junk = false;
    }
    if (accepted && symbol.opinion) symbol.junk = false;
    if (symbol.not_checked) symbol.score = 0;
    return symbol;
  };
  const auto count = [&](const std::string& engine, Symbol symbol) {
    symbol = weigh(engine, std::move(symbol));
    verdict.surely_junk = verdict.surely_junk || symbol.junk;
    verdict.score += symbol.score;
    verdict.symbols.push_back(std::move(symbol));
  };
  for (const EngineReport& report : reports) {
    if (!without.empty() && report.engine == without) continue;
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
    for (const auto& [recipient, symbol] : report.findings.of_recipients)
      verdict.of_recipients.push_back({recipient, weigh(report.engine, symbol)});
  }
  if (refusal && refusal->code / 100 == 5) {
    verdict.outcome = Outcome::kRefuse;
    verdict.reply = std::move(refusal);
  } else if (refusal) {
    verdict.outcome = Outcome::kTemporary;
    verdict.reply = std::move(refusal);
  } else if (wait) {
    verdict.outcome = Outcome::kTemporary;
    verdict.reply = Refusal{"UNCHECKED", 451, "4.7.1", "The message cannot be checked now, try again later"};
  } else {
    decide_by_score(scoring.thresholds, verdict);
    if (verdict.surely_junk && verdict.outcome == Outcome::kAccept) verdict.outcome = Outcome::kJunk;
  }
  return verdict;
}

Outcome outcome_for(std::size_t recipient, const Verdict& verdict, const Scoring& scoring) {
  if (verdict.outcome != Outcome::kAccept && verdict.outcome != Outcome::kJunk) return verdict.outcome;
  double score = verdict.score;
  bool own = false;
  for (const auto& [whose, symbol] : verdict.of_recipients) {
    if (whose != recipient) continue;
    score += symbol.score;
    own = true;
  }
  if (!own || verdict.surely_junk) return verdict.outcome;
  return reached(score, scoring.thresholds.junk) ? Outcome::kJunk : Outcome::kAccept;
}

}  // namespace merpati::filter
