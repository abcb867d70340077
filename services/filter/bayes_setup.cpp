#include "filter/bayes_setup.hpp"

#include "filter/config_values.hpp"
#include "merpati/config/v1/filter_bayes.pb.h"
#include "merpati/runtime/duration.hpp"

namespace merpati::filter {

Result<BayesSettings> bayes_settings(const config::v1::Bayes& config) {
  const auto wrong = [](const char* what) {
    return Error(ErrorCode::kInvalidArgument, std::string("filter.bayes.") + what);
  };
  if (config.spam_score() < 0 || config.own_spam_score() < 0)
    return wrong("spam_score: points of spam are not negative");
  if (config.ham_score() > 0 || config.own_ham_score() > 0) return wrong("ham_score: points of good mail are negative");
  if (config.min_learnt() == 0 || config.own_min_learnt() == 0)
    return wrong("min_learnt: with nothing learnt nothing can be said; set it to 1 or more");
  BayesSettings settings;
  settings.limits.forget_after =
      std::chrono::duration_cast<std::chrono::hours>(runtime::to_chrono(config.forget_after()));
  if (settings.limits.forget_after < std::chrono::hours(24)) return wrong("forget_after: less than a day (24h)");
  settings.limits.min_learnt = config.min_learnt();
  settings.limits.own_min_learnt = config.own_min_learnt();
  settings.limits.max_tokens = static_cast<std::int64_t>(config.max_tokens());
  settings.limits.own_max_tokens = static_cast<std::int64_t>(config.own_max_tokens());
  settings.points = {config.spam_score(), config.ham_score()};
  settings.own_points = {config.own_spam_score(), config.own_ham_score()};
  settings.when_unchecked = when_unchecked(config.unchecked());
  return settings;
}

}  // namespace merpati::filter
