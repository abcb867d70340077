// SPF (RFC 7208): may this address send mail for this domain?
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merpati/base/clock.hpp"
#include "merpati/dns/resolver.hpp"
#include "merpati/mailauth/step.hpp"

namespace merpati::mailauth {

/// RFC 7208 2.6.
enum class SpfResult : std::uint8_t { kNone, kNeutral, kPass, kFail, kSoftFail, kTempError, kPermError };
/// As Authentication-Results writes it (RFC 8601 2.7.2).
std::string_view to_string(SpfResult result);

enum class SpfIdentity : std::uint8_t { kMailFrom, kHelo };

struct SpfQuery {
  dns::IpAddress client;  ///< a mapped IPv4 address counts as IPv4
  std::string helo;
  std::string mail_from;  ///< reverse-path without brackets; empty: the null one, which stands for postmaster@HELO
  std::string receiver = "unknown";  ///< host that checks, for %{r}
  WallTime now = WallTime::clock::now();
};

/// RFC 7208 4.6.4. What exceeds one is a permerror, but for `ptr_names` of which the rest is ignored.
struct SpfLimits {
  int lookups = 10;      ///< mechanisms and modifiers that ask DNS
  int void_lookups = 2;  ///< of those, without an answer
  int mx_hosts = 10;     ///< of one mx mechanism
  int ptr_names = 10;
  int terms = 500;  ///< evaluated altogether, records of includes too
};

struct SpfOutcome {
  SpfResult result = SpfResult::kNone;
  SpfIdentity identity = SpfIdentity::kMailFrom;
  std::string domain;       ///< that was checked
  std::string mechanism;    ///< the term that decided, as it stands in the record; "default" when none matched
  std::string explanation;  ///< of a fail, from exp= (a stranger's words)
  std::string problem;      ///< of temperror and permerror
  int lookups = 0;
  int void_lookups = 0;
  Steps steps;
};

/// Checks the MAIL FROM identity, or postmaster@HELO when it is null (2.4). The Result is an error only for kCancelled;
/// when the deadline passes, the outcome is a temperror.
Task<SpfOutcome> check_spf(dns::Resolver& resolver, SpfQuery query, Deadline deadline, SpfLimits limits = {});
/// Checks the HELO identity (2.3).
Task<SpfOutcome> check_spf_helo(dns::Resolver& resolver, SpfQuery query, Deadline deadline, SpfLimits limits = {});

}  // namespace merpati::mailauth
