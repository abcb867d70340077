#include "filter/sender_setup.hpp"

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
  settings.threshold = config.threshold();
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

}  // namespace merpati::filter
