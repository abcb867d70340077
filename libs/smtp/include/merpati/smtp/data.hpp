// The octets of a message on the wire: the end of DATA, dots, and line ends (RFC 5321 4.5.2, 2.3.8).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace merpati::smtp {

/// Takes what follows DATA, in pieces of any size, and gives the message: dots unstuffed, CRLF at its end. The end is
/// CRLF.CRLF and nothing else; a CR or LF that stands alone is remembered, so that the server refuses the message
/// instead of understanding another end than the next one does (SMTP smuggling, CVE-2023-51764/5/6).
class DotDecoder {
 public:
  /// Appends message octets to `out` and returns how many octets of `wire` it took: all of them unless done().
  std::size_t feed(std::string_view wire, std::string& out);
  bool done() const { return state_ == State::kDone; }
  bool bare_line_end() const { return bare_; }

 private:
  enum class State : std::uint8_t { kLineStart, kInLine, kCr, kDot, kDotCr, kDone };
  State state_ = State::kLineStart;
  bool bare_ = false;
};

/// Looks for a CR or LF that stands alone, over pieces: for BDAT without BINARYMIME.
class LineEndChecker {
 public:
  void feed(std::string_view octets);
  /// To be asked when all was fed.
  bool bare_line_end() const { return bare_ || after_cr_; }

 private:
  bool after_cr_ = false, bare_ = false;
};

/// The client's side: stuffs dots and ends the data. Input has CRLF line ends.
class DotEncoder {
 public:
  void feed(std::string_view message, std::string& out);
  /// Appends the missing final CRLF, if it is missing, and ".CRLF".
  void finish(std::string& out);

 private:
  bool line_start_ = true, after_cr_ = false;
};

}  // namespace merpati::smtp
