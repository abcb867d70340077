#include "filter/printable.hpp"

#include <algorithm>

#include "merpati/mime/charset.hpp"

namespace merpati::filter {
namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// U+202A to U+202E, U+2066 to U+2069.
bool directs(std::string_view character) {
  if (character.starts_with("\xE2\x80")) return character[2] >= '\xAA' && character[2] <= '\xAE';
  return character.starts_with("\xE2\x81") && character[2] >= '\xA6' && character[2] <= '\xA9';
}

std::string_view cut(std::string_view text, std::size_t max, Keep keep) {
  if (text.size() <= max) return text;
  if (keep == Keep::kEnd) {
    text.remove_prefix(text.size() - max);
    while (!text.empty() && continues(text.front())) text.remove_prefix(1);
    return text;
  }
  while (max > 0 && continues(text[max])) --max;
  return text.substr(0, max);
}

}  // namespace

std::string printable(std::string_view text, std::size_t max, Keep keep) {
  std::string out(cut(text, max, keep));
  const bool utf8 = mime::is_valid_utf8(out);
  std::ranges::replace_if(
      out, [utf8](char c) { return static_cast<unsigned char>(c) < 32 || c == 127 || (!utf8 && (c & 0x80) != 0); },
      '?');
  for (std::size_t at = out.find('\xE2'); at != std::string::npos; at = out.find('\xE2', at + 1))
    if (at + 2 < out.size() && directs(std::string_view(out).substr(at, 3))) out.replace(at, 3, "?");
  return out;
}

}  // namespace merpati::filter
