#include "merpati/mime/content_type.hpp"

#include <algorithm>
#include <map>

#include "merpati/mime/address.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {
constexpr std::size_t kMaxParameters = 64;
constexpr std::size_t kMaxContinuations = 1000;

// RFC 2045 5.1 token. 8-bit bytes are let through: they are seen in unquoted file names.
bool in_token(char c) {
  switch (c) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
    case '(':
    case ')':
    case '<':
    case '>':
    case '@':
    case ',':
    case ';':
    case ':':
    case '\\':
    case '"':
    case '/':
    case '[':
    case ']':
    case '?':
    case '=':
    case '\0':
      return false;
    default:
      return true;
  }
}

std::string_view read_token(std::string_view text, std::size_t& at) {
  const std::size_t start = at;
  while (at < text.size() && in_token(text[at])) ++at;
  return text.substr(start, at - start);
}

std::string read_value(std::string_view text, std::size_t& at) {
  std::string out;
  if (at < text.size() && text[at] == '"') {
    for (++at; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\' && at + 1 < text.size()) ++at;
      if (text[at] != '\r' && text[at] != '\n' && text[at] != '\0') out.push_back(text[at]);
    }
    if (at < text.size()) ++at;
    return out;
  }
  // More than a token: senders leave "/", "=", "?", ":" and the like unquoted.
  while (at < text.size() && text[at] != ';' && text[at] != ' ' && text[at] != '\t' && text[at] != '\r' &&
         text[at] != '\n' && text[at] != '(' && text[at] != '"') {
    if (text[at] != '\0') out.push_back(text[at]);
    ++at;
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// RFC 2231 3: name*0, name*1* and so on.
struct Pieces {
  struct Piece {
    std::string value;
    bool extended = false;
  };
  std::map<unsigned, Piece> by_number;
};

void append_percent(std::string_view plain, std::string& out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (char c : plain) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 32 && byte < 127 && c != '%' && c != '*' && c != '\'') {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
}

Parameter join(const std::string& name, const Pieces& pieces) {
  Parameter out{name, {}};
  const bool extended = std::any_of(pieces.by_number.begin(), pieces.by_number.end(),
                                    [](const auto& item) { return item.second.extended; });
  if (extended) out.name.push_back('*');
  unsigned expected = 0;
  for (const auto& [number, piece] : pieces.by_number) {
    if (number != expected++) break;
    if (extended && !piece.extended) {
      if (number == 0) out.value += "''";
      append_percent(piece.value, out.value);
    } else {
      out.value += piece.value;
    }
  }
  return out;
}

Parameters read_parameters(std::string_view text, std::size_t at) {
  Parameters out;
  std::vector<std::pair<std::string, Pieces>> continued;
  std::size_t pieces_total = 0;
  while (at < text.size() && out.size() < kMaxParameters) {
    skip_cfws(text, at);
    if (at >= text.size()) break;
    if (text[at] == ';') {
      ++at;
      continue;
    }
    std::string name = to_lower(read_token(text, at));
    skip_cfws(text, at);
    if (name.empty() || at >= text.size() || text[at] != '=') {
      // Not "name=": go on after the next semicolon.
      while (at < text.size() && text[at] != ';') ++at;
      continue;
    }
    ++at;
    skip_cfws(text, at);
    std::string value = read_value(text, at);
    const std::size_t star = name.find('*');
    if (star == std::string::npos || star == 0 || star + 1 == name.size()) {
      const bool known = std::any_of(out.begin(), out.end(), [&](const Parameter& p) { return p.name == name; });
      if (!known) out.push_back({std::move(name), std::move(value)});
      continue;
    }
    std::string_view number = std::string_view(name).substr(star + 1);
    const bool extended = number.ends_with('*');
    if (extended) number.remove_suffix(1);
    if (number.empty() || number.size() > 3 || number.find_first_not_of("0123456789") != std::string_view::npos ||
        ++pieces_total > kMaxContinuations) {
      out.push_back({std::move(name), std::move(value)});
      continue;
    }
    const std::string base = name.substr(0, star);
    auto found = std::find_if(continued.begin(), continued.end(), [&](const auto& c) { return c.first == base; });
    if (found == continued.end()) {
      if (continued.size() >= kMaxParameters) continue;
      found = continued.insert(continued.end(), {base, {}});
    }
    found->second.by_number.try_emplace(static_cast<unsigned>(std::stoul(std::string(number))),
                                        Pieces::Piece{std::move(value), extended});
  }
  for (const auto& [name, pieces] : continued) {
    if (pieces.by_number.begin()->first == 0) out.push_back(join(name, pieces));
  }
  return out;
}
}  // namespace

std::optional<ContentType> parse_content_type(std::string_view value) {
  std::size_t at = 0;
  skip_cfws(value, at);
  ContentType out;
  out.type = to_lower(read_token(value, at));
  skip_cfws(value, at);
  if (out.type.empty() || at >= value.size() || value[at] != '/') return std::nullopt;
  ++at;
  skip_cfws(value, at);
  out.subtype = to_lower(read_token(value, at));
  if (out.subtype.empty()) return std::nullopt;
  out.parameters = read_parameters(value, at);
  return out;
}

std::optional<Disposition> parse_disposition(std::string_view value) {
  std::size_t at = 0;
  skip_cfws(value, at);
  Disposition out;
  out.type = to_lower(read_token(value, at));
  if (out.type.empty()) return std::nullopt;
  out.parameters = read_parameters(value, at);
  return out;
}

std::optional<std::string_view> find_parameter(const Parameters& parameters, std::string_view name) {
  for (const Parameter& p : parameters) {
    if (iequals(p.name, name)) return p.value;
  }
  return std::nullopt;
}

std::optional<std::string> decoded_parameter(const Parameters& parameters, std::string_view name) {
  // RFC 2231 4: charset'language'percent-encoded. The extended form is preferred to a plain one beside it (RFC
  // 6266 4.3).
  if (const auto extended = find_parameter(parameters, std::string(name) + "*")) {
    const std::size_t first = extended->find('\'');
    const std::size_t second = first == std::string_view::npos ? first : extended->find('\'', first + 1);
    if (second == std::string_view::npos) return to_utf8("utf-8", percent_decode(*extended));
    return to_utf8(extended->substr(0, first), percent_decode(extended->substr(second + 1)));
  }
  if (const auto plain = find_parameter(parameters, name)) return decode_encoded_words(*plain);
  return std::nullopt;
}

}  // namespace merpati::mime
