// One round of `merpati certs`: the authorities, then every certificate that is missing, old or wrong.
#pragma once

#include <string>
#include <vector>

#include "certs/authorities.hpp"
#include "merpati/config/v1/config.pb.h"

namespace merpati::certs {

/// A certificate to keep current.
struct Wanted {
  std::string name;  ///< of the Secret
  Subject subject;
};

struct Plan {
  std::string authority_name;
  std::vector<Wanted> certificates;
  Lives lives;
  bool rotate = false;
};

/// What happened, for the log.
struct Round {
  bool authorities_changed = false;
  std::vector<std::string> issued;   ///< new certificate and key
  std::vector<std::string> updated;  ///< only the trusted authorities changed
};

/// Names faults of the configuration in an error (kInvalidArgument). Without certificates in it: one for each of
/// `services`, good for the name of the service and for localhost.
Result<Plan> plan_of(const config::v1::Config& config, const std::vector<std::string_view>& services);

/// May run at the same time elsewhere: who comes second reads again. What it wrote before a failure stays valid.
Result<Round> keep_current(SecretStore& store, const Plan& plan, Time now);

}  // namespace merpati::certs
