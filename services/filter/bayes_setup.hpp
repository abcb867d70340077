// The Bayes engine's settings, from the configuration.
#pragma once

#include "filter/bayes_engine.hpp"
#include "merpati/base/result.hpp"

namespace merpati::config::v1 {
class Bayes;
}

namespace merpati::filter {

/// kInvalidArgument names the key that is wrong.
Result<BayesSettings> bayes_settings(const config::v1::Bayes& config);

}  // namespace merpati::filter
