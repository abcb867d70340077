#include "merpati/mailauth/spf_record.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {
using Kind = SpfTerm::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Error syntax(std::string_view term, const std::string& what) {
  return Error(ErrorCode::kInvalidArgument, "\"" + std::string(term.substr(0, 100)) + "\": " + what);
}

// toplabel of RFC 7208 7.1: not digits alone, no hyphen at an end.
bool is_top_label(std::string_view label) {
  if (label.empty() || label.front() == '-' || label.back() == '-') return false;
  bool other = false;
  for (const char c : label) {
    if (!is_digit(c) && !is_alpha(c) && c != '-') return false;
    other |= !is_digit(c);
  }
  return other;
}

// domain-spec = macro-string domain-end
bool is_domain_spec(std::string_view spec) {
  if (!valid_macro_string(spec, MacroUse::kDomain)) return false;
  if (spec.ends_with('}') || spec.ends_with("%%") || spec.ends_with("%_") || spec.ends_with("%-")) {
    return spec.rfind("%{") != std::string_view::npos && spec.ends_with('}');
  }
  if (spec.ends_with('.')) spec.remove_suffix(1);
  const auto dot = spec.rfind('.');
  return dot != std::string_view::npos && is_top_label(spec.substr(dot + 1));
}

std::optional<int> prefix_length(std::string_view text, int max) {
  if (text.empty() || text.size() > 3 || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  int out = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    out = out * 10 + (c - '0');
  }
  if (out > max) return std::nullopt;
  return out;
}

// Cuts "/24", "//64" or "/24//64" off the end; a slash inside a macro's braces is a delimiter of the macro.
bool take_prefixes(std::string_view& text, SpfTerm& term) {
  const auto brace = text.rfind('}');
  const auto slash = text.find('/', brace == std::string_view::npos ? 0 : brace);
  if (slash == std::string_view::npos) return true;
  std::string_view lengths = text.substr(slash);
  text = text.substr(0, slash);
  const auto six = lengths.find("//");
  const auto four = lengths.substr(0, six);
  if (six != std::string_view::npos) {
    const auto length = prefix_length(lengths.substr(six + 2), 128);
    if (!length) return false;
    term.prefix6 = *length;
  }
  if (!four.empty()) {
    const auto length = prefix_length(four.substr(1), 32);
    if (!length) return false;
    term.prefix4 = *length;
  }
  return true;
}

bool parse_network(std::string_view text, SpfTerm& term) {
  const bool four = term.kind == Kind::kIp4;
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto length = prefix_length(text.substr(slash + 1), four ? 32 : 128);
    if (!length) return false;
    (four ? term.prefix4 : term.prefix6) = *length;
  }
  boost::system::error_code error;
  const std::string address(text.substr(0, slash));
  if (four) {
    term.network = boost::asio::ip::make_address_v4(address, error);
  } else if (address.find('%') == std::string::npos) {
    term.network = boost::asio::ip::make_address_v6(address, error);
  } else {
    return false;
  }
  return !error;
}

struct KindName {
  std::string_view name;
  Kind kind;
};
constexpr KindName kKinds[] = {{"all", Kind::kAll}, {"include", Kind::kInclude}, {"a", Kind::kA},
                               {"mx", Kind::kMx},   {"ptr", Kind::kPtr},         {"ip4", Kind::kIp4},
                               {"ip6", Kind::kIp6}, {"exists", Kind::kExists}};

Result<SpfTerm> parse_mechanism(std::string_view text) {
  SpfTerm term;
  term.text = text;
  std::string_view rest = text;
  if (std::string_view("+-?~").find(rest[0]) != std::string_view::npos) {
    term.qualifier = rest[0];
    rest.remove_prefix(1);
  }
  const auto end = rest.find_first_of(":/");
  const auto name = rest.substr(0, end);
  const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const KindName& k) { return mime::iequals(k.name, name); });
  if (kind == std::end(kKinds)) return syntax(text, "no such mechanism");
  term.kind = kind->kind;
  rest.remove_prefix(name.size());
  const bool colon = rest.starts_with(':');
  if (colon) rest.remove_prefix(1);
  switch (term.kind) {
    case Kind::kAll:
      if (colon || !rest.empty()) return syntax(text, "all takes no argument");
      return term;
    case Kind::kIp4:
    case Kind::kIp6:
      if (!colon || !parse_network(rest, term)) return syntax(text, "not a network address");
      return term;
    case Kind::kA:
    case Kind::kMx:
      if (!take_prefixes(rest, term)) return syntax(text, "not a prefix length");
      break;
    case Kind::kInclude:
    case Kind::kExists:
      if (!colon) return syntax(text, "a domain is missing");
      break;
    case Kind::kPtr:
      break;
  }
  if ((colon || !rest.empty()) && !is_domain_spec(rest)) return syntax(text, "not a domain");
  term.domain_spec = rest;
  return term;
}

// name "=" value, where the name is one (RFC 7208 12: ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )).
std::optional<std::size_t> modifier_name_size(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || !is_alpha(text[0])) return std::nullopt;
  for (const char c : text.substr(0, equals)) {
    if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_' && c != '.') return std::nullopt;
  }
  return equals;
}

Result<void> parse_modifier(std::string_view text, std::size_t name_size, SpfRecord& record) {
  const auto name = text.substr(0, name_size);
  const auto value = text.substr(name_size + 1);
  const bool redirect = mime::iequals(name, "redirect");
  if (!redirect && !mime::iequals(name, "exp")) {
    // 6: unknown modifiers are ignored, but must be macro strings.
    if (!valid_macro_string(value, MacroUse::kExplanation)) return syntax(text, "not a macro string");
    return boost::system::in_place_value;
  }
  auto& slot = redirect ? record.redirect : record.explanation;
  if (slot) return syntax(text, "stands twice");
  if (!is_domain_spec(value)) return syntax(text, "not a domain");
  slot = std::string(value);
  return boost::system::in_place_value;
}
}  // namespace

bool is_spf_record(std::string_view text) {
  // 4.5: exactly "v=spf1", then a space or the end.
  return text.size() >= 6 && mime::iequals(text.substr(0, 6), "v=spf1") && (text.size() == 6 || text[6] == ' ');
}

Result<SpfRecord> parse_spf_record(std::string_view text) {
  if (!is_spf_record(text)) return Error(ErrorCode::kInvalidArgument, "does not start with v=spf1");
  text.remove_prefix(6);
  SpfRecord record;
  while (true) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    if (text.empty()) return record;
    const auto term = text.substr(0, text.find(' '));
    text.remove_prefix(term.size());
    if (const auto name_size = modifier_name_size(term)) {
      MERPATI_CHECK(parse_modifier(term, *name_size, record));
    } else {
      MERPATI_TRY(auto mechanism, parse_mechanism(term));
      record.terms.push_back(std::move(mechanism));
    }
  }
}

}  // namespace merpati::mailauth
