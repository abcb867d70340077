#include "text.hpp"

#include <algorithm>
#include <charconv>

#include "merpati/mime/header.hpp"

namespace merpati::sieve {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Numbers in hexadecimal with white space between; nothing when it is not that.
std::optional<std::vector<std::uint32_t>> hex_numbers(std::string_view text, std::size_t max_digits) {
  std::vector<std::uint32_t> numbers;
  for (std::size_t at = 0;;) {
    while (at < text.size() && is_blank(text[at])) ++at;
    if (at == text.size()) break;
    std::size_t end = at;
    while (end < text.size() && !is_blank(text[end])) ++end;
    std::uint64_t value = 0;
    const auto [stop, bad] = std::from_chars(text.data() + at, text.data() + end, value, 16);
    if (bad != std::errc() || stop != text.data() + end || end - at > max_digits || value > 0xFFFFFFFF)
      return std::nullopt;
    numbers.push_back(static_cast<std::uint32_t>(value));
    at = end;
  }
  if (numbers.empty()) return std::nullopt;
  return numbers;
}

}  // namespace

void append_utf8(std::uint32_t code, std::string& out) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xE0 | code >> 12);
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
    }
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

std::optional<std::string> decode_encoded_characters(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = text.find("${", at);
    out += text.substr(at, start == std::string_view::npos ? start : start - at);
    if (start == std::string_view::npos) break;
    const std::size_t colon = text.find(':', start), end = text.find('}', start);
    at = start;
    if (colon != std::string_view::npos && end != std::string_view::npos && colon < end) {
      const std::string name = mime::to_lower(text.substr(start + 2, colon - start - 2));
      const std::string_view numbers_text = text.substr(colon + 1, end - colon - 1);
      if (const auto bytes = name == "hex" ? hex_numbers(numbers_text, 2) : std::nullopt) {
        for (const auto byte : *bytes) out += static_cast<char>(byte);
        at = end + 1;
        continue;
      }
      if (const auto codes = name == "unicode" ? hex_numbers(numbers_text, 8) : std::nullopt) {
        for (const auto code : *codes) {
          // RFC 5228 2.4.2.4: 0 to D7FF and E000 to 10FFFF; others are an error
          if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return std::nullopt;
          append_utf8(code, out);
        }
        at = end + 1;
        continue;
      }
    }
    out += "${";
    at += 2;
  }
  return out;
}

bool is_identifier(std::string_view name) {
  return !name.empty() && is_alpha(name[0]) &&
         std::ranges::all_of(name, [](char c) { return is_alpha(c) || is_digit(c); });
}

SplitText split_variables(std::string_view text, const Namespaces& namespaces) {
  SplitText result;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) result.pieces.push_back({TextPiece::Kind::kLiteral, std::move(literal), 0});
    literal.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = text.find("${", at);
    literal += text.substr(at, start == std::string_view::npos ? start : start - at);
    if (start == std::string_view::npos) break;
    const std::size_t end = text.find('}', start);
    const std::string name =
        end == std::string_view::npos ? std::string() : mime::to_lower(text.substr(start + 2, end - start - 2));
    const std::size_t dot = name.find('.');
    TextPiece piece{TextPiece::Kind::kLiteral, name, 0};
    if (!name.empty() && std::ranges::all_of(name, is_digit)) {
      const std::string digits = name.substr(std::min(name.find_first_not_of('0'), name.size()));
      // RFC 5229 3.2: at least 9 have to be there
      if (digits.size() > 2) result.error = "${" + name + "}: matches are numbered from 0 to 99";
      piece.kind = TextPiece::Kind::kMatch;
      piece.index = digits.empty() || digits.size() > 2 ? 0 : static_cast<std::uint32_t>(std::stoul(digits));
    } else if (is_identifier(name)) {
      piece.kind = TextPiece::Kind::kVariable;
    } else if (dot != std::string::npos && is_identifier(name.substr(0, dot))) {
      const std::string rest = name.substr(dot + 1);
      const bool known =
          std::ranges::all_of(rest, [](char c) { return is_alpha(c) || is_digit(c) || c == '.' || c == '-'; });
      if (namespaces.global && name.starts_with("global.") && is_identifier(rest)) {
        piece.kind = TextPiece::Kind::kGlobal;
        piece.text = rest;
      } else if (namespaces.environment && name.starts_with("env.") && known && !rest.empty()) {
        piece.kind = TextPiece::Kind::kEnvironment;
        piece.text = rest;
      } else if (is_identifier(rest)) {
        // RFC 5229 3: a namespace of an extension that was not required is an error
        result.error = "${" + name + "}: the namespace " + name.substr(0, dot) + " is not known here";
      }
    }
    if (piece.kind == TextPiece::Kind::kLiteral) {
      literal += "${";
      at = start + 2;
      continue;
    }
    flush();
    result.pieces.push_back(std::move(piece));
    at = end + 1;
  }
  flush();
  return result;
}

}  // namespace merpati::sieve
