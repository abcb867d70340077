#include "merpati/mime/transfer.hpp"

#include <array>
#include <cstring>

#include "merpati/base/encoding.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {
constexpr std::uint8_t kSkip = 64;   // white space
constexpr std::uint8_t kPad = 65;    // '='
constexpr std::uint8_t kWrong = 66;  // anything else

constexpr std::array<std::uint8_t, 256> make_digits() {
  std::array<std::uint8_t, 256> table{};
  for (auto& entry : table) entry = kWrong;
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  for (char c : {' ', '\t', '\r', '\n'}) table[static_cast<unsigned char>(c)] = kSkip;
  table['='] = kPad;
  return table;
}
constexpr auto kDigits = make_digits();
constexpr std::size_t kMaxLine = 8192;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// A line without its end. True when it ended in a soft break.
bool decode_line(std::string_view line, std::string& out, bool& damaged) {
  while (!line.empty()) {
    const void* hit = std::memchr(line.data(), '=', line.size());
    const std::size_t plain = hit ? static_cast<const char*>(hit) - line.data() : line.size();
    out.append(line.substr(0, plain));
    line.remove_prefix(plain);
    if (line.empty()) return false;
    if (line.size() == 1) return true;
    const int high = hex_digit(line[1]);
    const int low = line.size() > 2 ? hex_digit(line[2]) : -1;
    if (high >= 0 && low >= 0) {
      out.push_back(static_cast<char>(high * 16 + low));
      line.remove_prefix(3);
    } else {
      // RFC 2045 6.7 note: keep what is wrong as it is.
      damaged = true;
      out.push_back('=');
      line.remove_prefix(1);
    }
  }
  return false;
}
}  // namespace

std::optional<Encoding> encoding_from_name(std::string_view name) {
  name = trim(name);
  if (name.empty() || iequals(name, "7bit") || iequals(name, "8bit") || iequals(name, "binary")) {
    return Encoding::kIdentity;
  }
  if (iequals(name, "base64")) return Encoding::kBase64;
  if (iequals(name, "quoted-printable")) return Encoding::kQuotedPrintable;
  return std::nullopt;
}

void TransferDecoder::feed(std::string_view bytes, std::string& out) {
  switch (encoding_) {
    case Encoding::kIdentity:
      out.append(bytes);
      break;
    case Encoding::kBase64:
      feed_base64(bytes, out);
      break;
    case Encoding::kQuotedPrintable:
      feed_quoted_printable(bytes, out);
      break;
  }
}

void TransferDecoder::feed_base64(std::string_view bytes, std::string& out) {
  const auto* in = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto* const end = in + bytes.size();
  const std::size_t before = out.size();
  out.resize(before + (bytes.size() + 3) / 4 * 3 + 3);
  char* to = out.data() + before;
  while (in < end) {
    while (digits_ == 0 && end - in >= 4) {
      const std::uint32_t a = kDigits[in[0]], b = kDigits[in[1]], c = kDigits[in[2]], d = kDigits[in[3]];
      if ((a | b | c | d) >= 64) break;
      const std::uint32_t group = a << 18 | b << 12 | c << 6 | d;
      *to++ = static_cast<char>(group >> 16);
      *to++ = static_cast<char>(group >> 8);
      *to++ = static_cast<char>(group);
      in += 4;
    }
    if (in >= end) break;
    const std::uint8_t digit = kDigits[*in++];
    if (digit < 64) {
      group_ = group_ << 6 | digit;
      if (++digits_ == 4) {
        *to++ = static_cast<char>(group_ >> 16);
        *to++ = static_cast<char>(group_ >> 8);
        *to++ = static_cast<char>(group_);
        digits_ = 0;
        group_ = 0;
      }
    } else if (digit == kPad) {
      // The end of an encoded run; another may follow (parts pasted together).
      if (digits_ == 3) {
        *to++ = static_cast<char>(group_ >> 10);
        *to++ = static_cast<char>(group_ >> 2);
      } else if (digits_ == 2) {
        *to++ = static_cast<char>(group_ >> 4);
      }
      digits_ = 0;
      group_ = 0;
    } else if (digit == kWrong) {
      damaged_ = true;  // RFC 2045 6.8: characters outside the alphabet are ignored.
    }
  }
  out.resize(static_cast<std::size_t>(to - out.data()));
}

void TransferDecoder::feed_quoted_printable(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const void* hit = std::memchr(bytes.data(), '\n', bytes.size());
    if (!hit) {
      line_.append(bytes);
      if (line_.size() > kMaxLine) {
        // A line far beyond the limit: decode all but the tail that may be an unfinished "=XX" or white space.
        std::size_t cut = line_.size() - 3;
        const std::size_t escape = line_.find('=', cut - 2);
        if (escape != std::string::npos && escape < cut) cut = escape;
        decode_line(std::string_view(line_).substr(0, cut), out, damaged_);
        line_.erase(0, cut);
      }
      return;
    }
    const std::size_t size = static_cast<const char*>(hit) - bytes.data();
    std::string_view line = bytes.substr(0, size);
    bytes.remove_prefix(size + 1);
    if (!line_.empty()) {
      line_.append(line);
      line = line_;
    }
    const bool crlf = line.ends_with('\r');
    if (crlf) line.remove_suffix(1);
    // RFC 2045 6.7 (3): white space at the end of a line was added on the way.
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (!decode_line(line, out, damaged_)) out.append(crlf ? "\r\n" : "\n");
    line_.clear();
  }
}

void TransferDecoder::finish(std::string& out) {
  if (encoding_ == Encoding::kBase64) {
    if (digits_ == 3) {
      out.push_back(static_cast<char>(group_ >> 10));
      out.push_back(static_cast<char>(group_ >> 2));
    } else if (digits_ == 2) {
      out.push_back(static_cast<char>(group_ >> 4));
    }
    digits_ = 0;
    group_ = 0;
  } else if (encoding_ == Encoding::kQuotedPrintable) {
    std::string_view line = line_;
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    decode_line(line, out, damaged_);
    line_.clear();
  }
}

std::string decode_transfer(Encoding encoding, std::string_view bytes) {
  std::string out;
  TransferDecoder decoder(encoding);
  decoder.feed(bytes, out);
  decoder.finish(out);
  return out;
}

std::string encode_base64_lines(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() / 57 * 78 + 80);
  while (!bytes.empty()) {
    out += to_base64(bytes.substr(0, 57));
    out += "\r\n";
    bytes.remove_prefix(std::min<std::size_t>(57, bytes.size()));
  }
  return out;
}

std::string encode_quoted_printable(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "\r\n") {
      out += "\r\n";
      column = 0;
      ++i;
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool line_ends = i + 1 == text.size() || text.substr(i + 1, 2) == "\r\n";
    const bool plain = (byte > 32 && byte < 127 && byte != '=') || ((byte == ' ' || byte == '\t') && !line_ends);
    const std::size_t width = plain ? 1 : 3;
    if (column + width > 75) {
      out += "=\r\n";
      column = 0;
    }
    // A dot or "From " alone at a line's start would be changed by other programs (RFC 2049 3).
    if (plain && !(column == 0 && (byte == '.' || byte == 'F'))) {
      out.push_back(text[i]);
      column += 1;
    } else {
      out.push_back('=');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
      column += 3;
    }
  }
  return out;
}

}  // namespace merpati::mime
