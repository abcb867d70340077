// iprev (RFC 8601 3): does a name that the client's address claims have that address?
#pragma once

#include <cstdint>
#include <string>

#include "merpati/dns/resolver.hpp"
#include "merpati/mailauth/step.hpp"

namespace merpati::mailauth {

enum class IprevResult : std::uint8_t { kPass, kFail, kTempError, kPermError };
std::string_view to_string(IprevResult result);

struct IprevOutcome {
  IprevResult result = IprevResult::kPermError;
  std::string name;  ///< of a pass
  Steps steps;
};

/// Asks for at most 10 names. The Result is an error only for kCancelled.
Task<IprevOutcome> check_iprev(dns::Resolver& resolver, dns::IpAddress client, Deadline deadline);

}  // namespace merpati::mailauth
