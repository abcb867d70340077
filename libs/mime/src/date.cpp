#include "merpati/mime/date.hpp"

#include <array>
#include <cstdio>

#include "merpati/mime/address.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {
constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDays = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

// Days since 1970-01-01 of a proleptic Gregorian date.
std::int64_t days_from_civil(std::int64_t y, int m, int d) {
  y -= m <= 2;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const auto yoe = static_cast<unsigned>(y - era * 400);
  const unsigned doy = static_cast<unsigned>((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1);
  const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + static_cast<std::int64_t>(doe) - 719468;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) { skip_cfws(text_, at_); }

  std::string_view word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && ((text_[at_] | 32) >= 'a' && (text_[at_] | 32) <= 'z')) ++at_;
    return take(start);
  }
  // -1 when there is no number of at most `max_digits` digits.
  int number(int max_digits, int* digits = nullptr) {
    const std::size_t start = at_;
    int value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' &&
           at_ - start < static_cast<std::size_t>(max_digits)) {
      value = value * 10 + (text_[at_++] - '0');
    }
    if (digits) *digits = static_cast<int>(at_ - start);
    if (at_ == start) return -1;
    take(start);
    return value;
  }
  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    skip_cfws(text_, at_);
    return true;
  }

 private:
  std::string_view take(std::size_t start) {
    const std::string_view out = text_.substr(start, at_ - start);
    skip_cfws(text_, at_);
    return out;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

int month_from(std::string_view word) {
  const std::string name = to_lower(word.substr(0, 3));
  for (std::size_t i = 0; i < kMonths.size(); ++i) {
    if (kMonths[i] == name) return static_cast<int>(i) + 1;
  }
  return 0;
}

// RFC 5322 4.3: names of North America; anything else is taken as +0000.
int zone_from(std::string_view word) {
  struct Zone {
    std::string_view name;
    int hours;
  };
  static constexpr Zone kZones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                                    {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
  for (const auto& [name, hours] : kZones) {
    if (iequals(word, name)) return hours * 60;
  }
  return 0;
}
}  // namespace

std::int64_t Date::local_day() const { return floor_div(unix_seconds + zone_minutes * 60, 86400); }

std::optional<Date> parse_date(std::string_view value) {
  Cursor in(value);
  int month = 0;
  int day = -1;
  const std::string_view first = in.word();
  if (!first.empty()) {
    in.accept('.');
    in.accept(',');
    // "Mon Nov 23 09:26:36 2026" of ctime has the month before the day.
    if (const std::string_view second = in.word(); !second.empty()) {
      month = month_from(second);
    } else if (day = in.number(2); day < 0) {
      return std::nullopt;
    }
  }
  if (day < 0) day = in.number(2);
  if (day < 1 || day > 31) return std::nullopt;
  const bool ctime_form = month != 0;
  if (!ctime_form) {
    in.accept('-');
    month = month_from(in.word());
    in.accept('.');
    in.accept('-');
  }
  if (month == 0) return std::nullopt;
  int year = -1;
  int digits = 0;
  if (!ctime_form) year = in.number(5, &digits);
  int hour = in.number(2);
  int minute = 0;
  int second = 0;
  if (hour < 0) {
    hour = 0;
  } else if (in.accept(':') || in.accept('.')) {
    minute = in.number(2);
    if (in.accept(':') || in.accept('.')) second = in.number(2);
  }
  if (ctime_form) {
    in.word();
    year = in.number(5, &digits);
  }
  if (year < 0 || digits < 2) return std::nullopt;
  // RFC 5322 4.3: two digits below 50 are 20xx, other two and three digits count from 1900.
  if (digits == 2)
    year += year < 50 ? 2000 : 1900;
  else if (digits == 3)
    year += 1900;
  if (hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return std::nullopt;

  int zone = 0;
  const bool minus = in.accept('-');
  if (minus || in.accept('+')) {
    const int z = in.number(4, &digits);
    if (digits == 4)
      zone = z / 100 * 60 + z % 100;
    else if (digits > 0 && digits <= 2)
      zone = z * 60;
    if (minus) zone = -zone;
  } else {
    zone = zone_from(in.word());
  }
  if (zone > 24 * 60 || zone < -24 * 60) zone = 0;
  Date out;
  out.zone_minutes = zone;
  out.unix_seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone * 60;
  return out;
}

std::string format_date(const Date& date) {
  const std::int64_t local = date.unix_seconds + date.zone_minutes * 60;
  const std::int64_t days = floor_div(local, 86400);
  const auto seconds = static_cast<int>(local - days * 86400);
  const std::int64_t z = days + 719468;
  const std::int64_t era = floor_div(z, 146097);
  const auto doe = static_cast<unsigned>(z - era * 146097);
  const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const unsigned mp = (5 * doy + 2) / 153;
  const auto day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  const auto month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  const long long year = static_cast<long long>(yoe) + era * 400 + (month <= 2);
  std::string name(kMonths[static_cast<std::size_t>(month - 1)]);
  name[0] = static_cast<char>(name[0] - 32);
  const int zone = date.zone_minutes < 0 ? -date.zone_minutes : date.zone_minutes;
  char buffer[96];
  std::snprintf(buffer, sizeof buffer, "%s, %02d %s %04lld %02d:%02d:%02d %c%02d%02d",
                kDays[static_cast<std::size_t>(((days % 7) + 7) % 7)].data(), day, name.c_str(), year, seconds / 3600,
                seconds / 60 % 60, seconds % 60, date.zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
  return buffer;
}

}  // namespace merpati::mime
