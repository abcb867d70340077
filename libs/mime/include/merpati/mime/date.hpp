// Dates of RFC 5322 3.3 with the obsolete forms of 4.3 and what is seen in the wild.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace merpati::mime {

struct Date {
  std::int64_t unix_seconds = 0;
  int zone_minutes = 0;  ///< east of UTC

  /// Days since 1970-01-01 in the date's own zone, as SEARCH SENTON compares (RFC 9051 6.4.4).
  std::int64_t local_day() const;
  friend bool operator==(const Date&, const Date&) = default;
};

std::optional<Date> parse_date(std::string_view value);
/// "Mon, 23 Nov 2026 09:26:36 +0000".
std::string format_date(const Date& date);

}  // namespace merpati::mime
