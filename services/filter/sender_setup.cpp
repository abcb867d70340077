#include "filter/sender_setup.hpp"

#include <algorithm>

#include "filter/config_values.hpp"
#include "merpati/config/v1/filter_senders.pb.h"
#include "merpati/runtime/duration.hpp"

namespace merpati::filter {
namespace {

std::chrono::milliseconds milliseconds(const google::protobuf::Duration& duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(duration));
}

Error wrong(const std::string& key, const std::string& what) {
  return Error(ErrorCode::kInvalidArgument, key + ": " + what);
}

}  // namespace

Result<GreylistSettings> greylist_settings(const config::v1::Greylist& config) {
  GreylistSettings settings;
  settings.times.delay = milliseconds(config.delay());
  settings.times.retry_window = milliseconds(config.retry_window());
  settings.times.keep = milliseconds(config.keep());
  if (settings.times.retry_window <= settings.times.delay)
    return wrong("filter.greylist.retry_window", "must be longer than filter.greylist.delay, else nothing ever passes");
  if (settings.times.keep <= settings.times.delay)
    return wrong("filter.greylist.keep", "must be longer than filter.greylist.delay");
  settings.skip_authenticated = config.skip_authenticated();
  MERPATI_TRY(settings.own_networks, networks_from("filter.greylist.own_networks", config.own_networks()));
  settings.when_unchecked = when_unchecked(config.unchecked());
  return settings;
}

Result<ReputationSettings> reputation_settings(const config::v1::Reputation& config) {
  ReputationSettings settings;
  settings.half_life = std::chrono::duration_cast<std::chrono::seconds>(milliseconds(config.half_life()));
  if (settings.half_life < std::chrono::minutes(1)) return wrong("filter.reputation.half_life", "is under a minute");
  settings.min_messages = config.min_messages();
  settings.sender_points = config.sender_points();
  settings.domain_points = config.domain_points();
  settings.address_points = config.address_points();
  if (std::min({settings.sender_points, settings.domain_points, settings.address_points}) < 0)
    return wrong("filter.reputation", "negative points would speak for senders of bad mail");
  MERPATI_TRY(settings.own_networks, networks_from("filter.reputation.own_networks", config.own_networks()));
  return settings;
}

}  // namespace merpati::filter
