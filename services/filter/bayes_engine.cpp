#include "filter/bayes_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace merpati::filter {
namespace {

constexpr std::size_t kSmall = 16 * 1024;   // octets: cut into tokens where we are, without a hop to another thread
constexpr std::size_t kMostOwnModels = 20;  // that are asked about one message; of more recipients none
// Probabilities that points begin at, and that all of them are given from.
constexpr double kDoubtful = 0.9, kSure = 0.99;

std::optional<Symbol> symbol_of(const bayes::Opinion& opinion, const BayesPoints& points, const char* prefix) {
  const auto share = [](double probability) {
    return std::clamp((probability - kDoubtful) / (kSure - kDoubtful), 0.0, 1.0);
  };
  const bool spam = opinion.spam > 0.5;
  const double certain = share(spam ? opinion.spam : 1 - opinion.spam);
  if (certain <= 0) return std::nullopt;
  Symbol symbol;
  symbol.name = std::string(prefix) + (spam ? "BAYES_SPAM" : "BAYES_HAM");
  symbol.score = certain * (spam ? points.spam : points.ham);
  symbol.detail = fmt::format("spam by {:.1f} %, {} clues", 100 * opinion.spam, opinion.clues);
  return symbol;
}

/// The model of all, and those of the recipients unless they are too many; each once.
std::vector<std::int64_t> models_for(const MessageView& view) {
  std::vector<std::int64_t> accounts = view.recipient_accounts;
  std::erase(accounts, 0);
  std::ranges::sort(accounts);
  accounts.erase(std::unique(accounts.begin(), accounts.end()), accounts.end());
  if (accounts.size() > kMostOwnModels) accounts.clear();
  accounts.push_back(kModelOfAll);
  return accounts;
}

}  // namespace

asio::awaitable<bayes::MessageTokens> bayes_tokens_of(std::string_view message, asio::thread_pool& blocking) {
  if (message.size() <= kSmall) co_return bayes::tokens_of(message);
  auto there = [message] { return bayes::tokens_of(message); };
  bayes::MessageTokens tokens = co_await run_blocking(blocking, std::move(there));
  co_return tokens;
}

std::optional<Findings> BayesEngine::check_now(const MessageView& view) {
  const bool asked = view.from_outside() && view.whole && models_.speaks();
  return asked ? std::nullopt : std::optional(Findings());
}

Task<Findings> BayesEngine::wait_for(const MessageView& view) {
  Findings findings;
  const auto message = co_await bayes_tokens_of(view.message, blocking_);
  MERPATI_CO_TRY(const auto known, co_await models_.find(message.tokens, models_for(view), Deadline::never()));
  for (const BayesKnowledge& model : known) {
    bayes::ClassifierSettings settings;
    settings.min_learnt = settings_.limits.min_learnt_of(model.account);
    const auto opinion = bayes::judge(model.tokens, model.messages, settings);
    if (!opinion) continue;
    if (model.account == kModelOfAll) {
      if (auto symbol = symbol_of(*opinion, settings_.points, "")) findings.symbols.push_back(std::move(*symbol));
      continue;
    }
    const auto symbol = symbol_of(*opinion, settings_.own_points, "OWN_");
    if (!symbol) continue;
    for (std::size_t i = 0; i < view.recipient_accounts.size(); ++i)
      if (view.recipient_accounts[i] == model.account) findings.of_recipients.push_back({i, *symbol});
  }
  co_return findings;
}

}  // namespace merpati::filter
