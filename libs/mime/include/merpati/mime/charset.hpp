// Charsets to UTF-8 by ICU, and the case folding that searches and sorts use.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace merpati::mime {

/// Bytes in a charset, fed in pieces, become UTF-8. What cannot be converted becomes U+FFFD. An unknown charset is
/// taken as UTF-8 where the bytes are that, else as windows-1252.
class CharsetDecoder {
 public:
  explicit CharsetDecoder(std::string_view charset);
  ~CharsetDecoder();
  CharsetDecoder(CharsetDecoder&&) noexcept;
  CharsetDecoder& operator=(CharsetDecoder&&) noexcept;

  void feed(std::string_view bytes, std::string& out);
  void finish(std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All at once; never fails.
std::string to_utf8(std::string_view charset, std::string_view bytes);
/// Strict: nothing when the charset is unknown or a byte sequence is wrong in it (SEARCH CHARSET, RFC 9051 6.4.4).
std::optional<std::string> to_utf8_strict(std::string_view charset, std::string_view bytes);
bool is_known_charset(std::string_view charset);
bool is_valid_utf8(std::string_view bytes);
bool is_ascii(std::string_view bytes);

/// Normalization form C (RFC 5198 3); `utf8` as it is when it is not UTF-8.
std::string to_nfc(std::string_view utf8);

/// i;unicode-casemap (RFC 5051): titlecase, then compatibility decomposition. Input and result are UTF-8.
std::string casemap(std::string_view utf8);

}  // namespace merpati::mime
