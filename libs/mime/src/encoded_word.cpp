#include "merpati/mime/encoded_word.hpp"

#include <optional>

#include "merpati/base/encoding.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::mime {
namespace {
struct Word {
  std::string_view charset;
  std::string bytes;
  std::size_t size = 0;  // of the encoded form
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// RFC 2047 4.2: "_" is a space, "=XX" a byte.
std::string decode_q(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      out.push_back(' ');
    } else if (text[i] == '=' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// `text` starts with "=?". Spaces inside the encoded text are wrong but seen, so they are let through.
std::optional<Word> read_word(std::string_view text) {
  const std::size_t charset_end = text.find('?', 2);
  if (charset_end == std::string_view::npos || charset_end == 2 || charset_end + 2 >= text.size()) return std::nullopt;
  if (text[charset_end + 2] != '?') return std::nullopt;
  const std::size_t start = charset_end + 3;
  const std::size_t end = text.find("?=", start);
  if (end == std::string_view::npos || end - start > 4096) return std::nullopt;
  Word word;
  word.charset = text.substr(2, charset_end - 2);
  if (word.charset.size() > 80 || word.charset.find(' ') != std::string_view::npos) return std::nullopt;
  // RFC 2231 5: a language after "*".
  word.charset = word.charset.substr(0, word.charset.find('*'));
  const std::string_view body = text.substr(start, end - start);
  switch (text[charset_end + 1]) {
    case 'b':
    case 'B':
      word.bytes = decode_transfer(Encoding::kBase64, body);
      break;
    case 'q':
    case 'Q':
      word.bytes = decode_q(body);
      break;
    default:
      return std::nullopt;
  }
  word.size = end + 2;
  return word;
}
}  // namespace

std::string decode_encoded_words(std::string_view value) {
  std::string out;
  std::string_view charset;
  std::string pending;  // bytes of adjacent words of one charset: a character may be split between them
  const auto flush = [&] {
    if (!pending.empty()) out += to_utf8(charset, pending);
    pending.clear();
  };
  bool after_word = false;
  std::size_t plain = 0;
  std::size_t at = 0;
  while (at < value.size()) {
    at = value.find("=?", at);
    if (at == std::string_view::npos) break;
    auto word = read_word(value.substr(at));
    if (!word) {
      at += 2;
      continue;
    }
    const std::string_view between = value.substr(plain, at - plain);
    const bool joined = after_word && trim(between).empty();
    if (!joined || !iequals(charset, word->charset)) flush();
    if (!joined) out += to_utf8("", between);
    charset = word->charset;
    pending += word->bytes;
    at += word->size;
    plain = at;
    after_word = true;
  }
  flush();
  if (plain < value.size()) out += to_utf8("", value.substr(plain));
  std::erase(out, '\0');
  return out;
}

std::string encode_encoded_words(std::string_view text) {
  bool plain = true;
  for (char c : text) plain &= static_cast<unsigned char>(c) >= 32 && static_cast<unsigned char>(c) < 127;
  if (plain && text.find("=?") == std::string_view::npos) return std::string(text);
  std::string out;
  while (!text.empty()) {
    // RFC 2047 2: a word has at most 75 characters; 45 bytes make 60 of base64. Never split a character.
    std::size_t size = std::min<std::size_t>(45, text.size());
    while (size > 1 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
    if (!out.empty()) out += "\r\n ";
    out += "=?utf-8?B?" + to_base64(text.substr(0, size)) + "?=";
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace merpati::mime
