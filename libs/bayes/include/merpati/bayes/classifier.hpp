// Classifier: how much a message looks like spam, by counts of its tokens in what was learnt (Robinson, Fisher).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace merpati::bayes {

/// How often something was learnt: a token, or messages at all.
struct Counts {
  std::int64_t spam = 0;
  std::int64_t ham = 0;
  friend bool operator==(const Counts&, const Counts&) = default;
};

struct ClassifierSettings {
  std::int64_t min_learnt = 200;  ///< messages of spam, and as many of ham, before it speaks
  std::size_t max_clues = 150;    ///< tokens that count: those that say most
  double min_deviation = 0.1;     ///< from 0.5, of a token that counts
  double prior = 0.5;             ///< the probability of a token that was never learnt
  double prior_strength = 0.45;   ///< how many observations that is worth
};

struct Opinion {
  double spam = 0.5;      ///< 0: good mail, 1: spam; near 0.5 when the clues disagree or there are none
  std::size_t clues = 0;  ///< tokens that counted
};

/// How likely a message with this token is spam, among as much spam as ham.
double token_probability(const Counts& token, const Counts& messages, const ClassifierSettings& settings);

/// Nothing when too little was learnt. `tokens`: those of the message that were ever learnt, in any order.
std::optional<Opinion> judge(std::span<const Counts> tokens, const Counts& messages,
                             const ClassifierSettings& settings = {});

}  // namespace merpati::bayes
