// Re-encoding: a message whose parts have octets that the way cannot carry gets those parts in base64 or
// quoted-printable, and everything else stays as it is (RFC 2045 6, RFC 6152 3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/mime/summary.hpp"

namespace merpati::mime {

/// What the way carries.
enum class Carry : std::uint8_t {
  kText,  ///< anything but NUL: IMAP's strings (RFC 9051 4.3.1) and POP3
  k8Bit,  ///< lines of at most 998 octets, no NUL, no CR or LF alone (RFC 6152)
  k7Bit,  ///< the same, US-ASCII only (RFC 5321 2.4)
};

/// A piece of the re-encoded message, made from a range of the original.
struct Piece {
  enum class Kind : std::uint8_t { kCopy, kText, kBase64, kQuotedPrintable };
  Kind kind = Kind::kCopy;
  Span raw;          ///< of the original; what kText replaces
  std::string text;  ///< of kText
};

struct Reencoding {
  std::vector<Piece> pieces;      ///< in order, covering the message; empty when nothing has to change
  bool has_signed_parts = false;  ///< a part inside of multipart/signed would change: its signature would break
};

Reencoding plan_reencoding(std::string_view message, const Part& root, Carry carry);

/// One piece. `raw` are the octets of its range. In copies NUL becomes 0x80, since there is no encoding for it there
/// (headers, text between parts).
std::string render_piece(const Piece& piece, std::string_view raw);
/// The whole.
std::string reencode(std::string_view message, const std::vector<Piece>& pieces);
/// How many octets render_piece() gives; not for kQuotedPrintable.
std::uint64_t rendered_size(const Piece& piece);

/// Every octet may go that way.
bool fits(std::string_view octets, Carry carry);

}  // namespace merpati::mime
