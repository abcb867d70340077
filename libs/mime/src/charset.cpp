#include "merpati/mime/charset.hpp"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/ucnv.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <array>
#include <vector>

#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct ConverterClose {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
};
using Converter = std::unique_ptr<UConverter, ConverterClose>;

// The name ICU shall use. Mail says iso-8859-1 and means windows-1252, which adds printable characters only.
std::string icu_name(std::string_view charset) {
  std::string name = to_lower(trim(charset));
  if (name.size() > 60) return {};
  if (name == "iso-8859-1" || name == "iso8859-1" || name == "latin1") return "windows-1252";
  if (name == "gb2312" || name == "gbk") return "gb18030";
  if (name == "ks_c_5601-1987" || name == "euc-kr") return "windows-949";
  if (name == "unknown-8bit" || name == "x-unknown") return {};
  return name;
}

Converter open_converter(std::string_view charset) {
  const std::string name = icu_name(charset);
  if (name.empty() || name.find(',') != std::string::npos) return nullptr;
  UErrorCode status = U_ZERO_ERROR;
  Converter out(ucnv_open(name.c_str(), &status));
  return U_SUCCESS(status) ? std::move(out) : nullptr;
}

bool is_utf8_name(std::string_view charset) { return iequals(charset, "utf-8") || iequals(charset, "utf8"); }
bool is_ascii_name(std::string_view charset) {
  return charset.empty() || iequals(charset, "us-ascii") || iequals(charset, "ascii");
}

// How many bytes at the end may be the start of a character that continues in the next piece.
std::size_t unfinished_tail(std::string_view bytes) {
  for (std::size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if (byte < 0x80) return 0;
    if (byte >= 0xC0) return (byte >= 0xF0 ? 4u : byte >= 0xE0 ? 3u : 2u) > back ? back : 0;
  }
  return 0;
}

void append_repaired(std::string_view bytes, std::string& out) {
  const auto* s = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto length = static_cast<std::int32_t>(bytes.size());
  for (std::int32_t i = 0; i < length;) {
    const std::int32_t start = i;
    UChar32 c;
    U8_NEXT(s, i, length, c);
    if (c < 0)
      out.append(kReplacement);
    else
      out.append(bytes.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(i - start)));
  }
}

void append_utf16(const UChar* text, std::int32_t length, std::string& out) {
  for (std::int32_t i = 0; i < length;) {
    UChar32 c;
    U16_NEXT(text, i, length, c);
    if (U_IS_SURROGATE(c)) c = 0xFFFD;
    std::uint8_t buffer[U8_MAX_LENGTH];
    std::int32_t size = 0;
    U8_APPEND_UNSAFE(buffer, size, c);
    out.append(reinterpret_cast<char*>(buffer), static_cast<std::size_t>(size));
  }
}

std::u16string to_utf16(std::string_view utf8) {
  std::u16string out(utf8.size(), u'\0');
  std::int32_t length = 0;
  UErrorCode status = U_ZERO_ERROR;
  u_strFromUTF8WithSub(out.data(), static_cast<std::int32_t>(out.size()), &length, utf8.data(),
                       static_cast<std::int32_t>(utf8.size()), 0xFFFD, nullptr, &status);
  out.resize(U_SUCCESS(status) ? static_cast<std::size_t>(length) : 0);
  return out;
}
}  // namespace

struct CharsetDecoder::State {
  enum class Kind { kUtf8, kGuess, kConverter };
  Kind kind = Kind::kGuess;
  Converter converter;
  std::string tail;

  void convert(std::string_view bytes, bool flush, std::string& out) {
    std::array<UChar, 2048> buffer;
    const char* from = bytes.data();
    const char* const end = from + bytes.size();
    for (;;) {
      UChar* to = buffer.data();
      UErrorCode status = U_ZERO_ERROR;
      ucnv_toUnicode(converter.get(), &to, to + buffer.size(), &from, end, nullptr, static_cast<UBool>(flush), &status);
      append_utf16(buffer.data(), static_cast<std::int32_t>(to - buffer.data()), out);
      if (status != U_BUFFER_OVERFLOW_ERROR) return;
    }
  }

  void utf8(std::string_view bytes, bool last, std::string& out) {
    std::string joined;
    if (!tail.empty()) {
      joined = std::move(tail);
      tail.clear();
      joined.append(bytes);
      bytes = joined;
    }
    const std::size_t keep = last ? 0 : unfinished_tail(bytes);
    const std::string_view whole = bytes.substr(0, bytes.size() - keep);
    if (is_ascii(whole) || is_valid_utf8(whole)) {
      out.append(whole);
    } else if (kind == Kind::kUtf8) {
      append_repaired(whole, out);
    } else {
      // Not UTF-8 and no charset that we know: windows-1252 from here on.
      converter = open_converter("windows-1252");
      kind = Kind::kConverter;
      convert(bytes, last, out);
      return;
    }
    tail.assign(bytes.substr(bytes.size() - keep));
  }
};

CharsetDecoder::CharsetDecoder(std::string_view charset) : state_(std::make_unique<State>()) {
  if (is_utf8_name(charset)) {
    state_->kind = State::Kind::kUtf8;
  } else if (!is_ascii_name(charset)) {
    state_->converter = open_converter(charset);
    if (state_->converter) state_->kind = State::Kind::kConverter;
  }
}
CharsetDecoder::~CharsetDecoder() = default;
CharsetDecoder::CharsetDecoder(CharsetDecoder&&) noexcept = default;
CharsetDecoder& CharsetDecoder::operator=(CharsetDecoder&&) noexcept = default;

void CharsetDecoder::feed(std::string_view bytes, std::string& out) {
  constexpr std::size_t kPiece = 1 << 20;  // ICU counts in 32 bits
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kPiece);
    bytes.remove_prefix(piece.size());
    if (state_->kind == State::Kind::kConverter)
      state_->convert(piece, false, out);
    else
      state_->utf8(piece, false, out);
  }
}

void CharsetDecoder::finish(std::string& out) {
  if (state_->kind == State::Kind::kConverter)
    state_->convert({}, true, out);
  else
    state_->utf8({}, true, out);
}

std::string to_utf8(std::string_view charset, std::string_view bytes) {
  std::string out;
  CharsetDecoder decoder(charset);
  decoder.feed(bytes, out);
  decoder.finish(out);
  return out;
}

std::optional<std::string> to_utf8_strict(std::string_view charset, std::string_view bytes) {
  if (bytes.size() > (1 << 20)) return std::nullopt;
  if (is_utf8_name(charset)) return is_valid_utf8(bytes) ? std::optional(std::string(bytes)) : std::nullopt;
  if (is_ascii_name(charset)) return is_ascii(bytes) ? std::optional(std::string(bytes)) : std::nullopt;
  const Converter converter = open_converter(charset);
  if (!converter) return std::nullopt;
  UErrorCode status = U_ZERO_ERROR;
  ucnv_setToUCallBack(converter.get(), UCNV_TO_U_CALLBACK_STOP, nullptr, nullptr, nullptr, &status);
  std::vector<UChar> text(bytes.size() * 2 + 16);
  const std::int32_t length = ucnv_toUChars(converter.get(), text.data(), static_cast<std::int32_t>(text.size()),
                                            bytes.data(), static_cast<std::int32_t>(bytes.size()), &status);
  if (U_FAILURE(status)) return std::nullopt;
  std::string out;
  append_utf16(text.data(), length, out);
  return out;
}

bool is_known_charset(std::string_view charset) {
  return is_utf8_name(charset) || is_ascii_name(charset) || open_converter(charset) != nullptr;
}

bool is_ascii(std::string_view bytes) {
  unsigned char all = 0;
  for (char c : bytes) all |= static_cast<unsigned char>(c);
  return all < 0x80;
}

bool is_valid_utf8(std::string_view bytes) {
  const auto* s = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const std::size_t length = bytes.size();
  for (std::size_t i = 0; i < length;) {
    if (s[i] < 0x80) {
      ++i;
      continue;
    }
    UChar32 c;
    U8_NEXT(s, i, length, c);
    if (c < 0) return false;
  }
  return true;
}

std::string to_nfc(std::string_view utf8) {
  if (is_ascii(utf8) || !is_valid_utf8(utf8)) return std::string(utf8);
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) return std::string(utf8);
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  nfc->normalizeUTF8(0, icu::StringPiece(utf8.data(), static_cast<std::int32_t>(utf8.size())), sink, nullptr, status);
  return U_FAILURE(status) ? std::string(utf8) : out;
}

std::string casemap(std::string_view utf8) {
  std::string out;
  if (is_ascii(utf8)) {
    // The titlecase of an ASCII letter is its upper case.
    out.assign(utf8);
    for (char& c : out) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    return out;
  }
  std::u16string text = to_utf16(utf8);
  std::u16string titled;
  titled.reserve(text.size());
  const auto length = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < length;) {
    UChar32 c;
    U16_NEXT(text.data(), i, length, c);
    c = u_totitle(c);
    if (c > 0xFFFF) {
      titled.push_back(U16_LEAD(c));
      titled.push_back(U16_TRAIL(c));
    } else {
      titled.push_back(static_cast<char16_t>(c));
    }
  }
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* nfkd = unorm2_getNFKDInstance(&status);
  std::u16string normal(titled.size() * 2 + 32, u'\0');
  for (;;) {
    status = U_ZERO_ERROR;
    const std::int32_t size = unorm2_normalize(nfkd, titled.data(), static_cast<std::int32_t>(titled.size()),
                                               normal.data(), static_cast<std::int32_t>(normal.size()), &status);
    normal.resize(static_cast<std::size_t>(size));
    if (status != U_BUFFER_OVERFLOW_ERROR) break;
  }
  append_utf16(normal.data(), static_cast<std::int32_t>(normal.size()), out);
  return out;
}

}  // namespace merpati::mime
