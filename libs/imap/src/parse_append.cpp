// APPEND's head and date-time (RFC 9051 6.3.12).
#include "cursor.hpp"
#include "merpati/imap/parser.hpp"

namespace merpati::imap {
namespace {

unsigned digits(std::string_view text, bool& good) {
  unsigned value = 0;
  for (const char c : text) {
    good = good && c >= '0' && c <= '9';
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

}  // namespace

// "dd-Mon-yyyy hh:mm:ss +zzzz": all places are fixed.
std::optional<DateTime> parse_date_time(std::string_view text) {
  if (text.size() != 26 || text[2] != '-' || text[6] != '-' || text[11] != ' ' || text[14] != ':' || text[17] != ':' ||
      text[20] != ' ')
    return std::nullopt;
  bool good = true;
  const unsigned day = text[0] == ' ' ? digits(text.substr(1, 1), good) : digits(text.substr(0, 2), good);
  const unsigned month = month_of(text.substr(3, 3));
  const unsigned year = digits(text.substr(7, 4), good);
  const unsigned hour = digits(text.substr(12, 2), good);
  const unsigned minute = digits(text.substr(15, 2), good);
  const unsigned second = digits(text.substr(18, 2), good);
  const unsigned zone = digits(text.substr(22, 2), good) * 60 + digits(text.substr(24, 2), good);
  good = good && (text[21] == '+' || text[21] == '-');
  if (!good || month == 0 || day == 0 || day > 31 || hour > 23 || minute > 59 || second > 60 || zone > 24 * 60)
    return std::nullopt;
  const auto east = static_cast<std::int32_t>(zone) * (text[21] == '+' ? 1 : -1);
  const std::int64_t local = days_of(static_cast<int>(year), month, day) * 86400 + hour * 3600 + minute * 60 + second;
  return DateTime{local - std::int64_t{east} * 60, east};
}

bool parse_append(Cursor& in, AppendArguments& out) {
  if (!in.astring(out.mailbox) || !in.space()) return false;
  if (in.peek() == '(' && (!in.flag_list(out.flags, false) || !in.space())) return false;
  if (in.peek() == '"') {
    std::string text;
    if (!in.string(text) || !in.space()) return false;
    out.date = parse_date_time(text);
    if (!out.date) return in.fail("Bad date-time");
  }
  out.binary = in.maybe('~');
  if (!in.expect('{', "Expected the message as a literal") || !in.number(out.size, 0x7fffffffffffffffULL)) return false;
  out.synchronizing = !in.maybe('+');
  return in.expect('}', "Bad literal");
}

}  // namespace merpati::imap
