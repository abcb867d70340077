#include "filter/judgement.hpp"

#include <algorithm>
#include <map>

namespace merpati::filter {
namespace {

bool all(const std::vector<RecipientOutcome>& recipients, auto&& holds) {
  return std::ranges::all_of(recipients, [&](const RecipientOutcome& one) { return holds(one.outcome); });
}

RecipientOutcome outcome_of(std::size_t index, const Verdict& verdict, const Scoring& scoring) {
  RecipientOutcome out{outcome_for(index, verdict, scoring), verdict.reply, score_for(index, verdict), {}};
  for (const auto& [whose, symbol] : verdict.of_recipients)
    if (whose == index) out.symbols.push_back(symbol);
  return out;
}

void agree(Judgement& judgement) {
  auto& recipients = judgement.recipients;
  auto& whole = judgement.whole;
  if (recipients.empty()) return;
  const auto is = [](Outcome wanted) { return [wanted](Outcome outcome) { return outcome == wanted; }; };
  const auto refuses = [](Outcome outcome) { return outcome == Outcome::kRefuse || outcome == Outcome::kTemporary; };
  const auto temporary = std::ranges::find(recipients, Outcome::kTemporary, &RecipientOutcome::outcome);
  if (temporary != recipients.end() && all(recipients, refuses)) {
    whole.outcome = Outcome::kTemporary;
    whole.reply = temporary->reply;
    for (auto& one : recipients) {
      one.outcome = Outcome::kTemporary;
      one.reply = whole.reply;
    }
    return;
  }
  for (auto& one : recipients) {
    if (one.outcome != Outcome::kTemporary) continue;
    one.outcome = Outcome::kJunk;
    one.reply.reset();
  }
  const Outcome first = recipients.front().outcome;
  if (all(recipients, is(first))) {
    whole.outcome = first;
    whole.reply = recipients.front().reply;
    return;
  }
  const bool some_accept =
      std::ranges::find(recipients, Outcome::kAccept, &RecipientOutcome::outcome) != recipients.end();
  whole.outcome = some_accept ? Outcome::kAccept : Outcome::kJunk;
  whole.reply.reset();
}

}  // namespace

Judgement judge(std::span<const EngineReport> reports, const RulesOfRecipients& recipients,
                const SharedRules& configured) {
  Judgement out;
  out.configured = decide(reports, configured->scoring);
  out.rules = configured;
  std::map<const Rules*, Verdict> verdicts;
  for (const auto& rules : recipients)
    if (rules != configured && !verdicts.contains(rules.get())) verdicts[rules.get()] = decide(reports, rules->scoring);
  const auto verdict_by = [&](const SharedRules& rules) -> const Verdict& {
    return rules == configured ? out.configured : verdicts.at(rules.get());
  };
  const bool shared = !recipients.empty() && std::ranges::all_of(recipients, [&](const SharedRules& rules) {
    return rules == recipients.front();
  });
  if (shared) out.rules = recipients.front();
  out.whole = verdict_by(out.rules);
  out.greylist = recipients.empty() && wants_greylist(out.whole.score, configured->scoring.thresholds);
  if (!recipients.empty()) {
    out.greylist = std::ranges::all_of(recipients, [&](const SharedRules& rules) {
      return wants_greylist(verdict_by(rules).score, rules->scoring.thresholds);
    });
  }
  for (std::size_t i = 0; i < recipients.size(); ++i)
    out.recipients.push_back(outcome_of(i, verdict_by(recipients[i]), recipients[i]->scoring));
  agree(out);
  return out;
}

}  // namespace merpati::filter
