// Makes one verdict of what the engines found: weights, the sum, thresholds.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "filter/engine.hpp"

namespace merpati::filter {

/// Of greylisting: nobody is asked to come again.
inline constexpr double kNever = std::numeric_limits<double>::infinity();

/// The least score that leads there; 0: never by score.
struct Thresholds {
  double junk = 6;
  double temporary = 0;
  double refuse = 15;
  double discard = 0;
  double greylist = kNever;  ///< 0: whatever the score
};

/// A weight that a domain or an account has given.
struct OwnWeight {
  double score = 0;
  Source source = Source::kDomain;
};

struct Scoring {
  Thresholds thresholds;
  /// Of the configuration, by symbol: in place of the engines' own, and of what refuses or files whatever the score.
  std::map<std::string, double, std::less<>> weights;
  /// Of policies: before those, but only in place of points, unless the finding is negotiable or an opinion.
  std::map<std::string, OwnWeight, std::less<>> own_weights = {};
};

/// How one engine's check ended.
struct EngineReport {
  std::string engine;
  Findings findings;
  bool checked = true;
  WhenUnchecked when_unchecked = WhenUnchecked::kMark;  ///< matters when not checked
  std::chrono::microseconds took{0};
};

enum class Outcome : std::uint8_t { kAccept, kJunk, kTemporary, kRefuse, kDiscard };

struct Verdict {
  Outcome outcome = Outcome::kAccept;
  std::optional<Refusal> reply;  ///< for kTemporary and kRefuse
  double score = 0;
  std::vector<Symbol> symbols;  ///< with the scores that were counted
  bool surely_junk = false;     ///< by a symbol that files into Junk whatever the score
  bool by_score = false;        ///< nothing refused it whatever the score
  std::vector<RecipientSymbol> of_recipients;
};

Verdict decide(std::span<const EngineReport> reports, const Scoring& scoring);
/// What becomes of one recipient's copy of a message that is accepted, or filed into Junk: its own symbols count with
/// the message's. They never refuse or discard, since whoever taught them meant to sort.
Outcome outcome_for(std::size_t recipient, const Verdict& verdict, const Scoring& scoring);
/// The verdict's score with the recipient's own symbols.
double score_for(std::size_t recipient, const Verdict& verdict);
/// What the outcome were without the points of one engine, which refuses nothing. `scoring`: what the verdict was made
/// by.
Outcome outcome_without(std::string_view engine, const Verdict& verdict, const Scoring& scoring);
/// Whether a message of that score is to be greylisted.
bool wants_greylist(double score, const Thresholds& thresholds);
/// The first reason to refuse that no weight has made a score.
std::optional<Refusal> refusal_of(const Findings& findings, const Scoring& scoring);

}  // namespace merpati::filter
