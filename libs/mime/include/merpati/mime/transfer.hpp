// Content transfer encodings (RFC 2045 6), decoded in pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace merpati::mime {

enum class Encoding : std::uint8_t { kIdentity, kBase64, kQuotedPrintable };

/// Nothing for an encoding we do not know (RFC 9051 6.4.5 UNKNOWN-CTE). An empty name is 7bit.
std::optional<Encoding> encoding_from_name(std::string_view name);

class TransferDecoder {
 public:
  explicit TransferDecoder(Encoding encoding) : encoding_(encoding) {}
  /// Appends what can be decoded so far to `out`.
  void feed(std::string_view bytes, std::string& out);
  void finish(std::string& out);
  /// Bytes that the encoding does not allow were met (and skipped or kept as they are).
  bool damaged() const { return damaged_; }

 private:
  void feed_base64(std::string_view bytes, std::string& out);
  void feed_quoted_printable(std::string_view bytes, std::string& out);

  Encoding encoding_;
  bool damaged_ = false;
  std::uint32_t group_ = 0;
  int digits_ = 0;
  std::string line_;
};

std::string decode_transfer(Encoding encoding, std::string_view bytes);
/// Lines of 76 characters that end in CRLF (RFC 2045 6.8).
std::string encode_base64_lines(std::string_view bytes);
/// Quoted-printable of text whose lines end in CRLF (RFC 2045 6.7).
std::string encode_quoted_printable(std::string_view text);

}  // namespace merpati::mime
