// The engines that remember senders, as the configuration wants them.
#pragma once

#include "filter/greylist_engine.hpp"
#include "filter/reputation_engine.hpp"

namespace merpati::config::v1 {
class Greylist;
class Reputation;
}  // namespace merpati::config::v1

namespace merpati::filter {

/// kInvalidArgument names the key that is wrong.
Result<GreylistSettings> greylist_settings(const config::v1::Greylist& config);
Result<ReputationSettings> reputation_settings(const config::v1::Reputation& config);

}  // namespace merpati::filter
