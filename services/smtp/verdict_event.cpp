#include "smtp/verdict_event.hpp"

#include <algorithm>
#include <string_view>

namespace merpati::smtp {
namespace {
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
}  // namespace

std::string in_words(const filter::v1::CheckMessageResponse& verdict) {
  constexpr int kMostSymbols = 8;
  std::string text = name_of(verdict.decision());
  for (int i = 0; i < std::min(verdict.symbols_size(), kMostSymbols); ++i)
    text.append(i == 0 ? ": " : ", ").append(verdict.symbols(i).name());
  return text;
}

trace::v1::Verdict verdict_of(const filter::v1::CheckMessageResponse& response) {
  trace::v1::Verdict out;
  out.set_decision(name_of(response.decision()));
  out.set_score(response.score());
  out.set_junk_at(response.thresholds().junk());
  out.set_temporary_at(response.thresholds().temporary());
  out.set_refuse_at(response.thresholds().refuse());
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
  }
  return out;
}

}  // namespace merpati::smtp
