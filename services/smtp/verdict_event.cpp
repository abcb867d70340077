#include "smtp/verdict_event.hpp"

#include <algorithm>
#include <string_view>

namespace merpati::smtp {
namespace {
constexpr int kMostRecipients = 100;

std::string name_of(filter::v1::Decision decision) {
  constexpr std::string_view kDecisions[] = {"none", "accept", "junk", "temporary", "refuse", "discard"};
  const auto index = static_cast<std::size_t>(decision);
  return std::string(index < std::size(kDecisions) ? kDecisions[index] : "unknown");
}

trace::v1::EngineFindings& findings_of(const std::string& engine, trace::v1::Verdict& verdict) {
  for (auto& known : *verdict.mutable_engines()) {
    if (known.engine() == engine) return known;
  }
  auto& fresh = *verdict.add_engines();
  fresh.set_engine(engine);
  fresh.set_checked(true);
  return fresh;
}
std::string name_of(filter::v1::PolicySource source) {
  switch (source) {
    case filter::v1::POLICY_SOURCE_CONFIGURATION:
      return "configuration";
    case filter::v1::POLICY_SOURCE_DOMAIN:
      return "domain";
    case filter::v1::POLICY_SOURCE_ACCOUNT:
      return "account";
    default:
      return {};
  }
}

template <class Judged>
void set_thresholds(const filter::v1::Thresholds& thresholds, Judged& out) {
  out.set_junk_at(thresholds.junk());
  out.set_temporary_at(thresholds.temporary());
  out.set_refuse_at(thresholds.refuse());
  out.set_discard_at(thresholds.discard());
  out.set_greylists(thresholds.greylists());
  out.set_greylist_at(thresholds.greylist());
}

void add_recipients(const filter::v1::CheckMessageResponse& response, const std::vector<std::string>& addresses,
                    trace::v1::Verdict& out) {
  out.set_recipients_in_all(response.recipients_size());
  for (int i = 0; i < response.recipients_size(); ++i) {
    const auto& verdict = response.recipients(i);
    if (!verdict.has_judgement() && verdict.decision() == response.decision()) continue;
    if (out.recipients_size() == kMostRecipients) return out.set_recipients_left_out(true);
    auto& one = *out.add_recipients();
    one.set_number(i + 1);
    if (static_cast<std::size_t>(i) < addresses.size()) one.set_recipient(addresses[static_cast<std::size_t>(i)]);
    one.set_decision(name_of(verdict.decision()));
    const auto& judgement = verdict.judgement();
    one.set_score(verdict.has_judgement() ? judgement.score() : response.score());
    set_thresholds(verdict.has_judgement() ? judgement.thresholds() : response.thresholds(), one);
    for (const auto& value : judgement.policy()) {
      auto& own = *one.add_policy();
      own.set_key(value.key());
      own.set_value(value.value());
      own.set_never(value.never());
      own.set_from(name_of(value.source()));
    }
  }
}
}  // namespace

std::string in_words(const filter::v1::CheckMessageResponse& verdict) {
  constexpr int kMostSymbols = 8;
  std::string text = name_of(verdict.decision());
  for (int i = 0; i < std::min(verdict.symbols_size(), kMostSymbols); ++i)
    text.append(i == 0 ? ": " : ", ").append(verdict.symbols(i).name());
  return text;
}

trace::v1::Verdict verdict_of(const filter::v1::CheckMessageResponse& response,
                              const std::vector<std::string>& addresses) {
  trace::v1::Verdict out;
  out.set_decision(name_of(response.decision()));
  out.set_score(response.score());
  set_thresholds(response.thresholds(), out);
  for (const auto& run : response.engines()) {
    auto& engine = *out.add_engines();
    engine.set_engine(run.engine());
    engine.set_checked(run.checked());
    engine.set_duration_us(run.duration_us());
  }
  for (const auto& symbol : response.symbols()) {
    auto& finding = *findings_of(symbol.engine(), out).add_symbols();
    finding.set_name(symbol.name());
    finding.set_score(symbol.score());
    finding.set_detail(symbol.detail());
    finding.set_not_checked(symbol.not_checked());
    finding.set_weight_from(name_of(symbol.weight()));
  }
  add_recipients(response, addresses, out);
  return out;
}

void add_milters(const std::vector<filter::v1::MilterAnswer>& answers, trace::v1::Verdict& verdict) {
  for (const auto& answer : answers) {
    auto& out = *verdict.add_milters();
    out.set_milter(answer.milter());
    out.set_stage(answer.stage());
    out.set_answer(answer.answer());
    out.set_text(answer.text());
    out.set_at_us(answer.at_us());
    out.set_duration_us(answer.duration_us());
  }
}

}  // namespace merpati::smtp
