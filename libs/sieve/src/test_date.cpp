// The tests date and currentdate (RFC 5260 4 and 5).
#include <fmt/format.h>

#include <chrono>

#include "machine.hpp"
#include "merpati/mime/date.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::sieve {
namespace {

/// "+hhmm" or "-hhmm" in minutes.
std::optional<int> zone_of(std::string_view text) {
  if (text.size() != 5 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  for (const char c : text.substr(1))
    if (c < '0' || c > '9') return std::nullopt;
  const int hours = (text[1] - '0') * 10 + text[2] - '0', minutes = (text[3] - '0') * 10 + text[4] - '0';
  if (hours > 23 || minutes > 59) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

/// RFC 5260 4.2; nothing for an unknown part.
std::optional<std::string> date_part(std::string_view part, std::int64_t seconds, int zone) {
  using namespace std::chrono;
  const sys_seconds local{std::chrono::seconds(seconds + zone * 60)};
  const sys_days day = floor<days>(local);
  const year_month_day date(day);
  const hh_mm_ss time(local - day);
  const int year = static_cast<int>(date.year());
  const unsigned month = static_cast<unsigned>(date.month()), mday = static_cast<unsigned>(date.day());
  const auto h = time.hours().count(), m = time.minutes().count(), s = time.seconds().count();
  const char sign = zone < 0 ? '-' : '+';
  const int off = zone < 0 ? -zone : zone;
  if (part == "year") return fmt::format("{:04}", year);
  if (part == "month") return fmt::format("{:02}", month);
  if (part == "day") return fmt::format("{:02}", mday);
  if (part == "date") return fmt::format("{:04}-{:02}-{:02}", year, month, mday);
  if (part == "julian") return std::to_string(day.time_since_epoch().count() + 40587);  // Modified Julian Day
  if (part == "hour") return fmt::format("{:02}", h);
  if (part == "minute") return fmt::format("{:02}", m);
  if (part == "second") return fmt::format("{:02}", s);
  if (part == "time") return fmt::format("{:02}:{:02}:{:02}", h, m, s);
  if (part == "iso8601")
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{:02}:{:02}", year, month, mday, h, m, s, sign, off / 60,
                       off % 60);
  if (part == "std11") return mime::format_date({seconds, zone});
  if (part == "zone") return fmt::format("{}{:02}{:02}", sign, off / 60, off % 60);
  if (part == "weekday") return std::to_string(weekday(day).c_encoding());
  return std::nullopt;
}

}  // namespace

bool Machine::test_date(const Node& node) {
  const bool current = node.op == Op::kCurrentdate;
  std::optional<int> zone = env_.zone_minutes();
  if (const Value* given = node.find(Tag::kZone)) {
    zone = zone_of(expand(given->texts[0]));
    if (!zone) {
      fail(node, ":zone is a time zone such as \"+0100\"");
      return false;
    }
  }
  const std::string part = mime::to_lower(expand(node.args[current ? 0 : 1].texts[0]));
  std::vector<std::string> kept;
  const auto add = [&](std::int64_t seconds, int shown) {
    // Years that a calendar of four digits has.
    if (seconds < -62'135'596'800 || seconds > 253'402'214'400) return;
    if (auto value = date_part(part, seconds, shown)) kept.push_back(*std::move(value));
  };
  if (current) {
    add(env_.now(), *zone);
  } else {
    each_field(node, node.args[0], [&](Message::Field*, std::string_view, std::string_view raw) {
      // RFC 5260 4: what follows the last semicolon, as in Received, or the whole value
      std::string value = mime::unfold(raw);
      if (const std::size_t semicolon = value.rfind(';'); semicolon != std::string::npos) value.erase(0, semicolon + 1);
      if (const auto date = mime::parse_date(value))
        add(date->unix_seconds, node.has(Tag::kOriginalzone) ? date->zone_minutes : *zone);
      return false;
    });
  }
  return !out_.error && matches(node, {kept.begin(), kept.end()});
}

}  // namespace merpati::sieve
