// What the results of mail authentication say about a message: symbols, and what DMARC asks for.
#pragma once

#include <span>
#include <string>

#include "filter/engine.hpp"
#include "merpati/mailauth/authenticate.hpp"

namespace merpati::filter {

struct AuthenticationPolicy {
  bool honour_dmarc = true;                  ///< false: "reject" and "quarantine" are points only
  std::vector<std::string> trusted_sealers;  ///< A-labels
};

/// Does not move `authentication` into the findings.
Findings findings_of(const mailauth::Authentication& authentication, const AuthenticationPolicy& policy);

/// The methods for the field Authentication-Results, cut to what may stand in a header prefix (some 4 KiB).
std::vector<mailauth::MethodResult> bounded(std::vector<mailauth::MethodResult> methods);

}  // namespace merpati::filter
