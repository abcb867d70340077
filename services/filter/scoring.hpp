// Makes one verdict of what the engines found: weights, the sum, thresholds.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "filter/engine.hpp"

namespace merpati::filter {

/// The least score that leads there; 0: never by score.
struct Thresholds {
  double junk = 6;
  double temporary = 0;
  double refuse = 15;
};

struct Scoring {
  Thresholds thresholds;
  std::map<std::string, double, std::less<>> weights;  ///< by symbol, in place of the engines' own
};

/// How one engine's check ended.
struct EngineReport {
  std::string engine;
  Findings findings;
  bool checked = true;
  WhenUnchecked when_unchecked = WhenUnchecked::kMark;  ///< matters when not checked
  std::chrono::microseconds took{0};
};

enum class Outcome : std::uint8_t { kAccept, kJunk, kTemporary, kRefuse };

struct Verdict {
  Outcome outcome = Outcome::kAccept;
  std::optional<Refusal> reply;  ///< for kTemporary and kRefuse
  double score = 0;
  std::vector<Symbol> symbols;  ///< with the scores that were counted
  bool surely_junk = false;     ///< by a symbol that files into Junk whatever the score
  std::vector<RecipientSymbol> of_recipients;
};

/// `without`: an engine whose report is left out.
Verdict decide(std::span<const EngineReport> reports, const Scoring& scoring, std::string_view without = {});
/// What becomes of one recipient's copy of a message that is accepted, or filed into Junk: its own symbols count with
/// the message's. They never refuse, since the message was one transaction for all its recipients.
Outcome outcome_for(std::size_t recipient, const Verdict& verdict, const Scoring& scoring);
/// The first reason to refuse that no weight has made a score.
std::optional<Refusal> refusal_of(const Findings& findings, const Scoring& scoring);

}  // namespace merpati::filter
