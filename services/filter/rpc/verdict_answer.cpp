#include "filter/rpc/verdict_answer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace merpati::filter {
namespace {

v1::PolicySource source_to_proto(Source source) {
  switch (source) {
    case Source::kEngine:
      return v1::POLICY_SOURCE_UNSPECIFIED;
    case Source::kConfiguration:
      return v1::POLICY_SOURCE_CONFIGURATION;
    case Source::kDomain:
      return v1::POLICY_SOURCE_DOMAIN;
    case Source::kAccount:
      return v1::POLICY_SOURCE_ACCOUNT;
  }
  return v1::POLICY_SOURCE_UNSPECIFIED;
}

void set(const Thresholds& thresholds, v1::Thresholds& out) {
  out.set_junk(thresholds.junk);
  out.set_temporary(thresholds.temporary);
  out.set_refuse(thresholds.refuse);
  out.set_discard(thresholds.discard);
  out.set_greylists(thresholds.greylist != kNever);
  if (out.greylists()) out.set_greylist(thresholds.greylist);
}

void add_symbol(const Symbol& symbol, const std::string& whose, v1::CheckMessageResponse& response) {
  v1::Symbol& out = *response.add_symbols();
  out.set_name(symbol.name);
  out.set_score(symbol.score);
  out.set_detail(symbol.detail + whose);
  out.set_not_checked(symbol.not_checked);
  out.set_engine(symbol.engine);
  out.set_weight(source_to_proto(symbol.weight));
}

/// Whether a value took part: weights of what was not found did not.
bool counted(const PolicyValue& value, const Judgement& judgement, const RecipientOutcome& recipient) {
  if (is_threshold(value.key)) return true;
  const auto has = [&](const std::vector<Symbol>& symbols) {
    return std::ranges::find(symbols, value.key, &Symbol::name) != symbols.end();
  };
  return has(judgement.whole.symbols) || has(recipient.symbols);
}

void add_recipient(const RecipientOutcome& recipient, const SharedRules& rules, const Judgement& judgement,
                   v1::CheckMessageResponse& response) {
  v1::RecipientVerdict& verdict = *response.add_recipients();
  verdict.set_decision(to_proto(recipient.outcome));
  const Thresholds& thresholds = rules->scoring.thresholds;
  if (recipient.reply) set_reply(*recipient.reply, *verdict.mutable_reply());
  if (recipient.outcome == Outcome::kDiscard)
    verdict.mutable_reply()->set_text(
        fmt::format("{:.4g} points, discarded from {:g} on", recipient.score, thresholds.discard));
  if (rules->values.empty() && recipient.symbols.empty()) return;
  v1::Judgement& how = *verdict.mutable_judgement();
  how.set_score(recipient.score);
  set(thresholds, *how.mutable_thresholds());
  for (const PolicyValue& value : rules->values)
    if (counted(value, judgement, recipient)) *how.add_policy() = to_proto(value);
}

}  // namespace

v1::Decision to_proto(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccept:
      return v1::DECISION_ACCEPT;
    case Outcome::kJunk:
      return v1::DECISION_JUNK;
    case Outcome::kTemporary:
      return v1::DECISION_TEMPORARY;
    case Outcome::kRefuse:
      return v1::DECISION_REFUSE;
    case Outcome::kDiscard:
      return v1::DECISION_DISCARD;
  }
  return v1::DECISION_UNSPECIFIED;
}

void set_reply(const Refusal& refusal, v1::Reply& reply) {
  reply.set_code(refusal.code);
  reply.set_enhanced(refusal.enhanced);
  reply.set_text(refusal.text);
}

v1::PolicyValue to_proto(const PolicyValue& value) {
  v1::PolicyValue out;
  out.set_key(value.key);
  out.set_value(value.value.value_or(0));
  out.set_never(!value.value);
  out.set_source(source_to_proto(value.source));
  return out;
}

Thresholds from_proto(const v1::Thresholds& thresholds) {
  return {thresholds.junk(), thresholds.temporary(), thresholds.refuse(), thresholds.discard(),
          thresholds.greylists() ? thresholds.greylist() : kNever};
}

v1::CheckMessageResponse to_proto(const Judgement& judgement, const RulesOfRecipients& rules,
                                  std::span<const EngineReport> reports) {
  v1::CheckMessageResponse response;
  const Verdict& whole = judgement.whole;
  response.set_decision(to_proto(whole.outcome));
  response.set_score(whole.score);
  if (whole.reply) set_reply(*whole.reply, *response.mutable_reply());
  set(judgement.rules->scoring.thresholds, *response.mutable_thresholds());
  for (const Symbol& symbol : whole.symbols) add_symbol(symbol, {}, response);
  for (std::size_t i = 0; i < judgement.recipients.size(); ++i) {
    // Not by name: who may see the message may not see all of its recipients.
    const bool alone = judgement.recipients.size() == 1;
    const std::string whose = alone ? std::string() : fmt::format(", for recipient {}", i + 1);
    for (const Symbol& symbol : judgement.recipients[i].symbols) add_symbol(symbol, whose, response);
    add_recipient(judgement.recipients[i], rules[i], judgement, response);
  }
  for (const EngineReport& report : reports) {
    v1::EngineRun& run = *response.add_engines();
    run.set_engine(report.engine);
    run.set_checked(report.checked);
    run.set_duration_us(report.took.count());
  }
  return response;
}

}  // namespace merpati::filter
