// Where aggregate reports about a domain may go (RFC 9990 3.5 and 4): the addresses in rua=, and whether those who
// would get them want them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/dns/resolver.hpp"

namespace merpati::mailauth {

struct ReportDestination {
  std::string address;  ///< "local@host"
  std::string host;     ///< A-labels
};

/// Nothing for what is no "mailto:" with one plain address (a dot-atom), which is all that reports are sent to.
std::optional<ReportDestination> parse_report_uri(std::string_view uri);

enum class DestinationState : std::uint8_t {
  kOwn,        ///< the domain's own organization
  kConfirmed,  ///< elsewhere, and it says that it wants them
  kRefused,    ///< elsewhere, and it does not
  kUnknown,    ///< DNS does not say now
};
std::string_view to_string(DestinationState state);

struct VerifiedDestination {
  DestinationState state = DestinationState::kUnknown;
  std::vector<ReportDestination> to;  ///< whom to send to: `wanted`, or those that its host names in its place
  std::string reason;                 ///< why not
};

/// RFC 9990 4. `policy_domain`: whose record names the destination. The Result is an error only for kCancelled.
Task<VerifiedDestination> verify_destination(dns::Resolver& resolver, std::string policy_domain,
                                             ReportDestination wanted, Deadline deadline);

}  // namespace merpati::mailauth
