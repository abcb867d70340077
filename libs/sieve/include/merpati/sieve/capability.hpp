// Capabilities: the names that `require` (RFC 5228 3.2) and ManageSieve's SIEVE list know. Each is whole.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace merpati::sieve {

/// In alphabetical order. Comparators have "comparator-" in front.
std::span<const std::string_view> capabilities();
bool has_capability(std::string_view name);
/// Those that stand in for another too: "spamtestplus" needs no "spamtest" beside it. Empty: none.
std::string_view implied_by(std::string_view name);
/// RFC 6785 3.11: false for what answers the delivery of a message, and so has no place in IMAP events.
bool fits_imap_events(std::string_view name);

}  // namespace merpati::sieve
