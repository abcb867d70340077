#include <algorithm>
#include <optional>

#include "merpati/mailauth/spf_record.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// %{ letter *DIGIT ["r"] *delimiter }
struct Macro {
  char letter = 0;
  int labels = 0;  // 0: all
  bool reverse = false;
  std::string_view delimiters = ".";
};

// The macro whose inside (between the braces) is `text`.
std::optional<Macro> parse_macro(std::string_view text) {
  if (text.empty()) return std::nullopt;
  Macro out{text[0]};
  if (std::string_view("slodiphcrtv").find(lower(out.letter)) == std::string_view::npos) return std::nullopt;
  text.remove_prefix(1);
  bool digits = false;
  while (!text.empty() && is_digit(text[0])) {
    // RFC 7208 7.3: numbers up to 127 must be understood; more than there can be labels means all.
    out.labels = std::min(1000, out.labels * 10 + (text[0] - '0'));
    digits = true;
    text.remove_prefix(1);
  }
  if (digits && out.labels == 0) return std::nullopt;  // 7.3: zero is a syntax error
  if (!text.empty() && lower(text[0]) == 'r') {
    out.reverse = true;
    text.remove_prefix(1);
  }
  if (text.find_first_not_of(".-+,/_=") != std::string_view::npos) return std::nullopt;
  if (!text.empty()) out.delimiters = text;
  return out;
}

std::string dotted(const dns::IpAddress& address) {
  if (address.is_v4()) return address.to_string();
  std::string out;  // 7.3: nibbles between dots
  for (const unsigned char byte : address.to_v6().to_bytes()) {
    if (!out.empty()) out.push_back('.');
    out += {"0123456789abcdef"[byte >> 4], '.', "0123456789abcdef"[byte & 15]};
  }
  return out;
}

std::string value_of(char letter, const SpfMacros& macros) {
  switch (lower(letter)) {
    case 's':
      return macros.sender_local + "@" + macros.sender_domain;
    case 'l':
      return macros.sender_local;
    case 'o':
      return macros.sender_domain;
    case 'd':
      return macros.domain;
    case 'i':
      return dotted(macros.client);
    case 'p':
      return macros.validated_name;
    case 'v':
      return macros.client.is_v4() ? "in-addr" : "ip6";
    case 'h':
      return macros.helo;
    case 'c':
      return macros.client.to_string();
    case 'r':
      return macros.receiver;
    default:
      return std::to_string(macros.unix_time);
  }
}

std::string transform(const std::string& value, const Macro& macro) {
  if (macro.labels == 0 && !macro.reverse && macro.delimiters == ".") return value;
  std::vector<std::string_view> parts;
  std::string_view rest = value;
  for (;;) {
    const auto end = rest.find_first_of(macro.delimiters);
    parts.push_back(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (macro.reverse) std::reverse(parts.begin(), parts.end());
  std::size_t first = 0;
  const auto wanted = static_cast<std::size_t>(macro.labels);
  if (wanted != 0 && wanted < parts.size()) first = parts.size() - wanted;
  std::string out;
  for (std::size_t i = first; i < parts.size(); ++i) {
    if (i > first) out.push_back('.');
    out += parts[i];
  }
  return out;
}

// RFC 7208 7.3: an upper-case letter asks for URL escapes of all that is not unreserved (RFC 3986 2.3).
std::string url_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
    }
  }
  return out;
}

// Calls literal(text) and macro(Macro) in order; false at a syntax error.
template <class Literal, class OnMacro>
bool scan(std::string_view spec, Literal literal, OnMacro on_macro) {
  while (!spec.empty()) {
    const auto percent = spec.find('%');
    literal(spec.substr(0, percent));
    if (percent == std::string_view::npos) return true;
    spec.remove_prefix(percent + 1);
    if (spec.empty()) return false;
    switch (spec[0]) {
      case '%':
        literal(std::string_view("%"));
        break;
      case '_':
        literal(std::string_view(" "));
        break;
      case '-':
        literal(std::string_view("%20"));
        break;
      case '{': {
        const auto end = spec.find('}');
        if (end == std::string_view::npos) return false;
        const auto macro = parse_macro(spec.substr(1, end - 1));
        if (!macro || !on_macro(*macro)) return false;
        spec.remove_prefix(end);
        break;
      }
      default:
        return false;
    }
    spec.remove_prefix(1);
  }
  return true;
}
}  // namespace

bool valid_macro_string(std::string_view spec, MacroUse use) {
  bool visible = true;
  const auto literal = [&](std::string_view text) {
    for (const char c : text) {
      const bool ok = (c > 32 && c < 127) || (c == ' ' && use == MacroUse::kExplanation);
      visible &= ok || (text == " ");
    }
  };
  const auto macro = [&](const Macro& m) {
    return use == MacroUse::kExplanation || std::string_view("crt").find(lower(m.letter)) == std::string_view::npos;
  };
  return scan(spec, literal, macro) && visible;
}

std::string expand_macros(std::string_view spec, const SpfMacros& macros) {
  std::string out;
  scan(
      spec, [&](std::string_view text) { out += text; },
      [&](const Macro& macro) {
        const std::string value = transform(value_of(macro.letter, macros), macro);
        out += macro.letter >= 'A' && macro.letter <= 'Z' ? url_escaped(value) : value;
        return true;
      });
  return out;
}

bool uses_validated_name(std::string_view spec) {
  bool found = false;
  scan(
      spec, [](std::string_view) {},
      [&](const Macro& macro) {
        found |= lower(macro.letter) == 'p';
        return true;
      });
  return found;
}

}  // namespace merpati::mailauth
