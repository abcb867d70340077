#include "merpati/imap/mailbox_name.hpp"

#include <unicode/ucnv.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace merpati::imap {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

// Decodes one code point; 0xFFFFFFFF for an ill-formed sequence. Overlong forms and surrogates are ill-formed.
std::uint32_t next_code_point(std::string_view text, std::size_t& at) {
  constexpr std::uint32_t kBad = 0xffffffff;
  const auto lead = static_cast<unsigned char>(text[at++]);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xf0 && lead < 0xf5   ? 3
                   : lead >= 0xe0 && lead < 0xf0 ? 2
                   : lead >= 0xc2 && lead < 0xe0 ? 1
                                                 : 0;
  if (more == 0) return kBad;
  std::uint32_t point = lead & (0x3fU >> more);
  for (int i = 0; i < more; ++i) {
    if (at >= text.size() || (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80) return kBad;
    point = point << 6 | (static_cast<unsigned char>(text[at++]) & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (point < kLeast[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return kBad;
  return point;
}

void append_utf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

// One shifted run, "&...-".
class ShiftedRun {
 public:
  explicit ShiftedRun(std::string& out) : out_(out) { out_ += '&'; }
  void unit(std::uint32_t value) {
    bits_ = bits_ << 16 | value;
    count_ += 16;
    while (count_ >= 6) {
      count_ -= 6;
      out_ += kAlphabet[bits_ >> count_ & 0x3f];
    }
    bits_ &= (1U << count_) - 1;
  }
  void finish() {
    if (count_ > 0) out_ += kAlphabet[bits_ << (6 - count_) & 0x3f];
    out_ += '-';
  }

 private:
  std::string& out_;
  std::uint64_t bits_ = 0;
  int count_ = 0;
};

// The run between '&' and '-' as UTF-16 units to UTF-8. False when it is not well formed.
bool append_run(std::string& out, std::string_view run) {
  std::vector<std::uint32_t> units;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : run) {
    const auto value = kAlphabet.find(c);
    if (value == std::string_view::npos) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 16) continue;
    count -= 16;
    units.push_back(bits >> count & 0xffff);
    bits &= (1U << count) - 1;
  }
  if (count >= 6 || bits != 0 || units.empty()) return false;
  for (std::size_t i = 0; i < units.size(); ++i) {
    std::uint32_t point = units[i];
    if (point >= 0xd800 && point < 0xdc00 && i + 1 < units.size() && units[i + 1] >= 0xdc00 && units[i + 1] < 0xe000) {
      point = 0x10000 + ((point - 0xd800) << 10) + (units[++i] - 0xdc00);
    } else if (point >= 0xd800 && point < 0xe000) {
      return false;
    } else if (point >= 0x20 && point < 0x7f) {
      return false;  // RFC 3501 5.1.3: printable US-ASCII represents itself
    }
    if (point == 0) return false;
    append_utf8(out, point);
  }
  return true;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

// Linear in pattern times name: a client's pattern of many '*' must not cost exponential time.
bool match(std::string_view pattern, std::string_view name) {
  std::vector<bool> reached(name.size() + 1, false);
  reached[0] = true;
  for (const char p : pattern) {
    if (p == '*' || p == '%') {
      bool on = false;
      for (std::size_t i = 0; i <= name.size(); ++i) {
        if (p == '%' && i > 0 && name[i - 1] == kSeparator) on = false;
        on = on || reached[i];
        reached[i] = on;
      }
    } else {
      for (std::size_t i = name.size(); i > 0; --i) reached[i] = reached[i - 1] && name[i - 1] == p;
      reached[0] = false;
    }
  }
  return reached[name.size()];
}

}  // namespace

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (next_code_point(text, at) == 0xffffffff) return false;
  }
  return true;
}

std::string to_modified_utf7(std::string_view utf8) {
  std::string out;
  for (std::size_t at = 0; at < utf8.size();) {
    const auto byte = static_cast<unsigned char>(utf8[at]);
    if (byte >= 0x20 && byte < 0x7f) {
      out += utf8[at++];
      if (byte == '&') out += '-';
      continue;
    }
    ShiftedRun run(out);
    while (at < utf8.size() &&
           (static_cast<unsigned char>(utf8[at]) < 0x20 || static_cast<unsigned char>(utf8[at]) >= 0x7f)) {
      std::uint32_t point = next_code_point(utf8, at);
      if (point == 0xffffffff) point = 0xfffd;
      if (point >= 0x10000) {
        run.unit(0xd800 + ((point - 0x10000) >> 10));
        run.unit(0xdc00 + ((point - 0x10000) & 0x3ff));
      } else {
        run.unit(point);
      }
    }
    run.finish();
  }
  return out;
}

std::optional<std::string> from_modified_utf7(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte >= 0x7f) return std::nullopt;
    if (byte != '&') {
      out += text[at];
      continue;
    }
    const auto end = text.find('-', at + 1);
    if (end == std::string_view::npos) return std::nullopt;
    if (end == at + 1) {
      out += '&';
    } else if (!append_run(out, text.substr(at + 1, end - at - 1))) {
      return std::nullopt;
    }
    at = end;
  }
  return out;
}

std::string canonical_inbox(std::string_view name) {
  if (name.size() >= 5 && equals_ignoring_case(name.substr(0, 5), "INBOX") &&
      (name.size() == 5 || name[5] == kSeparator)) {
    return "INBOX" + std::string(name.substr(5));
  }
  return std::string(name);
}

bool matches_pattern(std::string_view pattern, std::string_view name) {
  if (match(pattern, name)) return true;
  if (!name.starts_with("INBOX")) return false;
  std::string folded(pattern);
  for (char& c : folded) c = lower(c);
  if (name == "INBOX") return match(folded, "inbox");
  // Below INBOX only the first level is the same in any case.
  return name[5] == kSeparator && match(canonical_inbox(pattern), name);
}

std::optional<std::string> to_utf8(std::string_view charset, std::string_view bytes) {
  if (charset.empty() || equals_ignoring_case(charset, "UTF-8") || equals_ignoring_case(charset, "US-ASCII"))
    return std::string(bytes);
  UErrorCode status = U_ZERO_ERROR;
  const std::string name(charset);
  UConverter* converter = ucnv_open(name.c_str(), &status);
  if (U_FAILURE(status)) return std::nullopt;
  std::string out(bytes.size() * 4 + 16, '\0');
  const auto size = ucnv_toAlgorithmic(UCNV_UTF8, converter, out.data(), static_cast<int32_t>(out.size()), bytes.data(),
                                       static_cast<int32_t>(bytes.size()), &status);
  ucnv_close(converter);
  if (U_FAILURE(status)) return std::nullopt;
  out.resize(static_cast<std::size_t>(size));
  return out;
}

}  // namespace merpati::imap
