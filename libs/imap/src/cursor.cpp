#include "cursor.hpp"

#include <algorithm>

#include "merpati/imap/parser.hpp"

namespace merpati::imap {
namespace {

bool is_list_char(unsigned char c) { return is_atom_char(c) || c == '%' || c == '*' || c == ']' || c >= 0x80; }
// 8-bit in an atom is not in the grammar, but clients send it in names and keywords; the session decides what it means.
bool is_astring_char(unsigned char c) { return is_atom_char(c) || c == ']' || c >= 0x80; }

}  // namespace

bool is_atom_char(unsigned char c) {
  return c > 0x20 && c < 0x7f && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' && c != '"' && c != '\\' &&
         c != ']';
}

std::string to_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
}

std::int64_t days_of(int year, unsigned month, unsigned day) {
  const std::int64_t y = month <= 2 ? year - 1 : year;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(y - era * 400);
  const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 +
         static_cast<std::int64_t>(year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year) - 719468;
}

unsigned month_of(std::string_view name) {
  constexpr std::string_view kNames = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
  if (name.size() != 3) return 0;
  const auto at = kNames.find(to_upper(name));
  return at == std::string_view::npos || at % 3 != 0 ? 0 : static_cast<unsigned>(at / 3 + 1);
}

bool Cursor::keyword(std::string_view word) {
  if (text_.size() - at_ < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = text_[at_ + i];
    if ((c >= 'a' && c <= 'z' ? c - 32 : c) != word[i]) return false;
  }
  const std::size_t after = at_ + word.size();
  if (after < text_.size() && is_atom_char(static_cast<unsigned char>(text_[after])) && word.back() != '[' &&
      text_[after] != '[') {
    return false;
  }
  at_ = after;
  return true;
}

bool Cursor::atom(std::string& out, bool upper) {
  const auto text = run(is_atom_char);
  if (text.empty()) return fail("Expected an atom");
  out = upper ? to_upper(text) : std::string(text);
  return true;
}

bool Cursor::literal(std::string& out) {
  maybe('~');
  if (!expect('{', "Expected a literal")) return false;
  std::uint64_t size = 0;
  if (!number(size)) return false;
  maybe('+');
  if (!expect('}', "Bad literal") || !expect('\r', "Bad literal") || !expect('\n', "Bad literal")) return false;
  if (text_.size() - at_ < size) return fail("Literal is cut short");
  out = text_.substr(at_, size);
  at_ += size;
  return true;
}

bool Cursor::quoted(std::string& out) {
  if (!expect('"', "Expected a string")) return false;
  out.clear();
  for (; at_ < text_.size(); ++at_) {
    char c = text_[at_];
    if (c == '"') {
      ++at_;
      return true;
    }
    if (c == '\r' || c == '\n' || c == '\0') return fail("Line break or NUL in a quoted string");
    if (c == '\\') {
      if (++at_ >= text_.size()) break;
      c = text_[at_];
      if (c != '"' && c != '\\') return fail("Only \\\" and \\\\ are escapes in a quoted string");
    }
    out += c;
  }
  return fail("A quoted string does not end");
}

bool Cursor::string(std::string& out) {
  if (peek() == '"') return quoted(out);
  if (peek() == '{' || peek() == '~') return literal(out);
  return fail("Expected a string");
}

bool Cursor::nstring(std::string& out) {
  out.clear();
  return keyword("NIL") || string(out);
}

bool Cursor::astring(std::string& out) {
  if (peek() == '"' || peek() == '{') return string(out);
  const auto text = run(is_astring_char);
  if (text.empty()) return fail("Expected a string");
  out = text;
  return true;
}

bool Cursor::list_mailbox(std::string& out) {
  if (peek() == '"' || peek() == '{') return string(out);
  const auto text = run(is_list_char);
  if (text.empty()) return fail("Expected a mailbox pattern");
  out = text;
  return true;
}

bool Cursor::number(std::uint64_t& out, std::uint64_t most) {
  const auto digits = run([](unsigned char c) { return c >= '0' && c <= '9'; });
  if (digits.empty()) return fail("Expected a number");
  out = 0;
  for (const char c : digits) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (out > (most - digit) / 10) return fail("Number is too large");
    out = out * 10 + digit;
  }
  return true;
}

bool Cursor::nz_number(std::uint32_t& out) {
  std::uint64_t value = 0;
  if (!number(value)) return false;
  out = static_cast<std::uint32_t>(value);
  return value != 0 || fail("Expected a number above zero");
}

bool Cursor::sequence_number(std::uint32_t& out) {
  if (maybe('*')) {
    out = 0;
    return true;
  }
  return nz_number(out) || fail("Bad message set");
}

bool Cursor::sequence_set(SequenceSet& out) {
  if (maybe('$')) {
    out.set_saved_result();
    return true;
  }
  do {
    SequenceSet::Element element;
    if (!sequence_number(element.first)) return false;
    element.last = element.first;
    if (maybe(':') && !sequence_number(element.last)) return false;
    out.add(element);
  } while (maybe(','));
  return true;
}

bool Cursor::flag(std::string& out) {
  const bool system = maybe('\\');
  const auto text = run([](unsigned char c) { return is_atom_char(c) || c == ']'; });
  if (text.empty()) return fail("Expected a flag");
  out = system ? "\\" : "";
  out += text;
  return true;
}

bool Cursor::flag_list(std::vector<std::string>& out, bool parentheses_optional) {
  const bool parenthesized = maybe('(');
  if (!parenthesized && !parentheses_optional) return fail("Expected a list of flags");
  if (parenthesized && maybe(')')) return true;
  do {
    std::string one;
    if (!flag(one)) return false;
    out.push_back(std::move(one));
    if (out.size() > 1000) return fail("Too many flags");
  } while (maybe(' '));
  return !parenthesized || expect(')', "Expected ) after the flags");
}

bool Cursor::date(std::uint64_t& out) {
  const bool quotes = maybe('"');
  std::uint64_t day = 0;
  std::uint64_t year = 0;
  if (!number(day, 31) || !expect('-', "Bad date")) return fail("Bad date");
  const auto month = month_of(run([](unsigned char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }));
  if (month == 0 || day == 0 || !expect('-', "Bad date") || !number(year, 9999)) return fail("Bad date");
  if (quotes && !expect('"', "Bad date")) return false;
  out = static_cast<std::uint64_t>(days_of(static_cast<int>(year), month, static_cast<unsigned>(day)));
  return true;
}

}  // namespace merpati::imap
