// Says how much mail from outside looks like what was learnt as spam: by the model of all, and by its recipients' own.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "filter/bayes_models.hpp"
#include "filter/engine.hpp"

namespace merpati::filter {

/// Points of a message that is surely spam, or surely good; one that is less sure gets less.
struct BayesPoints {
  double spam = 0;
  double ham = 0;
};

struct BayesSettings {
  BayesLimits limits;
  BayesPoints points{4, -2};      ///< by the model of all
  BayesPoints own_points{6, -4};  ///< by a recipient's own, for that recipient
  WhenUnchecked when_unchecked = WhenUnchecked::kMark;
};

class BayesEngine : public Engine {
 public:
  /// `models` outlives the engine; large messages are cut into tokens on `blocking`.
  BayesEngine(BayesSettings settings, BayesLookup& models, asio::thread_pool& blocking)
      : settings_(settings), models_(models), blocking_(blocking) {}

  std::string_view name() const override { return "bayes"; }
  EngineSettings settings() const override { return {std::chrono::seconds(3), settings_.when_unchecked}; }
  std::optional<Findings> check_now(const MessageView& view) override;
  Task<Findings> wait_for(const MessageView& view) override;

 private:
  const BayesSettings settings_;
  BayesLookup& models_;
  asio::thread_pool& blocking_;
};

/// The tokens of a message, on `blocking` where that takes a while.
asio::awaitable<bayes::MessageTokens> bayes_tokens_of(std::string_view message, asio::thread_pool& blocking);

}  // namespace merpati::filter
