#include "merpati/bayes/classifier.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace merpati::bayes {
namespace {

/// How likely a chi-square variable with 2 * `pairs` degrees of freedom is at least 2 * `half`.
double chi_square_tail(double half, std::size_t pairs) {
  double term = std::exp(-half);
  double sum = term;
  for (std::size_t i = 1; i < pairs; ++i) {
    term *= half / static_cast<double>(i);
    sum += term;
  }
  return std::min(sum, 1.0);
}

}  // namespace

double token_probability(const Counts& token, const Counts& messages, const ClassifierSettings& settings) {
  const auto share = [](std::int64_t of_token, std::int64_t of_messages) {
    if (of_messages <= 0) return 0.0;
    return std::clamp(static_cast<double>(of_token) / static_cast<double>(of_messages), 0.0, 1.0);
  };
  const double spam = share(token.spam, messages.spam);
  const double ham = share(token.ham, messages.ham);
  if (spam + ham <= 0) return settings.prior;
  const auto seen = static_cast<double>(std::max<std::int64_t>(token.spam, 0) + std::max<std::int64_t>(token.ham, 0));
  return (settings.prior_strength * settings.prior + seen * spam / (spam + ham)) / (settings.prior_strength + seen);
}

std::optional<Opinion> judge(std::span<const Counts> tokens, const Counts& messages,
                             const ClassifierSettings& settings) {
  if (messages.spam < settings.min_learnt || messages.ham < settings.min_learnt) return std::nullopt;
  if (messages.spam <= 0 || messages.ham <= 0) return std::nullopt;
  std::vector<double> clues;
  for (const Counts& token : tokens) {
    const double probability = token_probability(token, messages, settings);
    if (std::abs(probability - 0.5) >= settings.min_deviation) clues.push_back(probability);
  }
  const auto stronger = [](double a, double b) { return std::abs(a - 0.5) > std::abs(b - 0.5); };
  std::ranges::sort(clues, [&](double a, double b) { return stronger(a, b) || (!stronger(b, a) && a < b); });
  if (clues.size() > settings.max_clues) clues.resize(settings.max_clues);
  Opinion opinion;
  opinion.clues = clues.size();
  if (clues.empty()) return opinion;
  double for_spam = 0, for_ham = 0;  // -ln of the product of what speaks against each
  for (const double clue : clues) {
    for_spam -= std::log1p(-clue);
    for_ham -= std::log(clue);
  }
  const double spam = 1 - chi_square_tail(for_spam, clues.size());
  const double ham = 1 - chi_square_tail(for_ham, clues.size());
  opinion.spam = (1 + spam - ham) / 2;
  return opinion;
}

}  // namespace merpati::bayes
