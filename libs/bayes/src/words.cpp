#include "words.hpp"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <string>

#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::bayes {
namespace {

constexpr std::size_t kLongest = 25;  // characters of a word that counts as it is

enum class Kind { kGap, kLetter, kDigit, kAlone, kIgnored };

/// Scripts that put no blanks between words: each character is one.
bool stands_alone(UChar32 c) {
  return (c >= 0x0E00 && c <= 0x0EFF) || (c >= 0x1000 && c <= 0x109F) || (c >= 0x1780 && c <= 0x17FF) ||
         (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

Kind kind_of(UChar32 c) {
  if (c >= '0' && c <= '9') return Kind::kDigit;
  if ((c >= 'a' && c <= 'z') || c == '$') return Kind::kLetter;
  if (c < 0x80) return Kind::kGap;
  const auto type = u_charType(c);
  if (type == U_NON_SPACING_MARK || type == U_FORMAT_CHAR) return Kind::kIgnored;
  if (!u_isalnum(c)) return Kind::kGap;
  return stands_alone(c) ? Kind::kAlone : Kind::kLetter;
}

/// Collects characters until the word ends.
class Word {
 public:
  void add(std::string_view character, Kind kind) {
    digits_only_ = digits_only_ && kind == Kind::kDigit;
    ++characters_;
    if (characters_ <= kLongest) text_ += character;
    if (characters_ == 1) first_ = text_;
  }
  /// False when the sink has enough.
  bool end(const std::function<bool(std::string_view)>& sink) {
    bool more = true;
    if (characters_ > kLongest) {
      more = sink("long:" + first_ + std::to_string(std::min<std::size_t>(characters_ / 10, 10)));
    } else if (characters_ > 0 && digits_only_) {
      more = sink("#" + std::to_string(characters_));
    } else if (characters_ > 1) {
      more = sink(text_);
    }
    *this = Word();
    return more;
  }

 private:
  std::string text_, first_;
  std::size_t characters_ = 0;
  bool digits_only_ = true;
};

}  // namespace

void for_each_word(std::string_view text, const std::function<bool(std::string_view)>& sink) {
  const bool ascii = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  // The case map takes accents off the letters, and leaves ASCII in upper case.
  const std::string folded = mime::to_lower(ascii ? std::string(text) : mime::casemap(text));
  const auto length = static_cast<std::int32_t>(folded.size());
  Word word;
  for (std::int32_t at = 0; at < length;) {
    const std::int32_t start = at;
    UChar32 c;
    U8_NEXT(folded.data(), at, length, c);
    const Kind kind = c < 0 ? Kind::kGap : kind_of(c);
    if (kind == Kind::kIgnored) continue;
    const auto character =
        std::string_view(folded).substr(static_cast<std::size_t>(start), static_cast<std::size_t>(at - start));
    if (kind == Kind::kLetter || kind == Kind::kDigit) {
      word.add(character, kind);
      continue;
    }
    if (!word.end(sink)) return;
    if (kind == Kind::kAlone && !sink(character)) return;
  }
  word.end(sink);
}

}  // namespace merpati::bayes
