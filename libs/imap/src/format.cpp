#include "merpati/imap/format.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "merpati/imap/mailbox_name.hpp"

namespace merpati::imap {
namespace {

// ASTRING-CHAR of RFC 9051 9: no controls, no blank, none of ( ) { % * " \ ; ']' is allowed.
bool is_astring_char(unsigned char c) {
  return c > 0x20 && c < 0x7f && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' && c != '"' && c != '\\';
}

constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void append_two_digits(std::string& out, unsigned value) {
  out += static_cast<char>('0' + value / 10 % 10);
  out += static_cast<char>('0' + value % 10);
}

}  // namespace

bool is_atom(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return is_astring_char(c) && c != ']'; });
}

void append_literal(std::string& out, std::string_view value) {
  out += '{';
  append_number(out, value.size());
  out += "}\r\n";
  out += value;
}

void append_string(std::string& out, std::string_view value, bool utf8) {
  bool eight_bit = false;
  for (const unsigned char c : value) {
    if (c == 0 || c == '\r' || c == '\n') return append_literal(out, value);
    eight_bit |= c >= 0x80;
  }
  if (value.size() > 1000 || (eight_bit && !(utf8 && is_utf8(value)))) return append_literal(out, value);
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void append_astring(std::string& out, std::string_view value, bool utf8) {
  const bool atom =
      !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) { return is_astring_char(c); });
  // "NIL" as an atom would read as no string at all.
  const bool nil =
      value.size() == 3 && (value[0] | 0x20) == 'n' && (value[1] | 0x20) == 'i' && (value[2] | 0x20) == 'l';
  if (!atom || nil) return append_string(out, value, utf8);
  out += value;
}

void append_mailbox(std::string& out, std::string_view name, NameForm form) {
  if (form == NameForm::kUtf8) return append_astring(out, name, true);
  if (is_ascii(name) && name.find('&') == std::string_view::npos) return append_astring(out, name);
  append_astring(out, to_modified_utf7(name));
}

void append_date_time(std::string& out, std::int64_t seconds, std::int32_t zone_minutes) {
  seconds += std::int64_t{zone_minutes} * 60;
  // Days to civil date, proleptic Gregorian: messages listed by the ten thousand should not pay for gmtime.
  std::int64_t days = seconds / 86400;
  std::int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted = (5 * day_of_year + 2) / 153;
  const unsigned day = day_of_year - (153 * shifted + 2) / 5 + 1;
  const unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
  const std::int64_t year =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), 0, 9999);
  out += '"';
  out += day < 10 ? ' ' : static_cast<char>('0' + day / 10);
  out += static_cast<char>('0' + day % 10);
  out += '-';
  out += kMonths[month - 1];
  out += '-';
  append_two_digits(out, static_cast<unsigned>(year / 100));
  append_two_digits(out, static_cast<unsigned>(year % 100));
  out += ' ';
  append_two_digits(out, static_cast<unsigned>(rest / 3600));
  out += ':';
  append_two_digits(out, static_cast<unsigned>(rest / 60 % 60));
  out += ':';
  append_two_digits(out, static_cast<unsigned>(rest % 60));
  out += zone_minutes < 0 ? " -" : " +";
  const auto zone = static_cast<unsigned>(std::abs(zone_minutes));
  append_two_digits(out, zone / 60);
  append_two_digits(out, zone % 60);
  out += '"';
}

std::string response_text(std::string_view text) {
  std::string out(text.substr(0, 400));
  const bool utf8 = is_utf8(out);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) c = '?';
  }
  if (out.empty() || out.front() == '[') out.insert(0, "- ");  // would read as a response code
  return out;
}

}  // namespace merpati::imap
