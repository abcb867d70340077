// What a POP3 server writes: status lines, response codes and multi-line bodies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merpati/base/error.hpp"

namespace merpati::pop3 {

/// RFC 2449 8 and 3206: response codes that stand in brackets after -ERR.
enum class ResponseCode : std::uint8_t { kNone, kInUse, kLoginDelay, kSysTemp, kSysPerm, kAuth, kUtf8 };
std::string_view to_string(ResponseCode code);  ///< such as "SYS/TEMP"; empty for kNone

/// Where an error arose: the same error means something else for a login than for a message.
enum class ErrorSite : std::uint8_t { kLogin, kMaildrop, kCommand };

/// The one table from an Error to a response code, temporary or permanent.
ResponseCode response_code(const Error& error, ErrorSite site);

std::string ok(std::string_view text);  ///< "+OK text" CRLF; control characters in text become spaces
std::string err(std::string_view text, ResponseCode code = ResponseCode::kNone);
/// "-ERR [CODE] text" with the error's public text, or a plain one where it has none.
std::string err(const Error& error, ErrorSite site);

/// Writes a message as the body of a multi-line response: lines that start with "." get a second one (RFC 1939 3).
/// Line starts are after CRLF only. Pieces may be cut anywhere.
class DotWriter {
 public:
  void write(std::string_view piece, std::string& out);
  /// Completes the last line where its CRLF is missing, and ends the response with ".".
  void finish(std::string& out);

 private:
  enum class At : std::uint8_t { kLineStart, kInLine, kAfterCr };
  At at_ = At::kLineStart;
};

/// RFC 1939 7 TOP: passes the header, the empty line and the first n lines of the body.
class TopLimiter {
 public:
  explicit TopLimiter(std::uint32_t lines) : left_(lines) {}
  /// The part of `piece` that belongs to the answer: always a prefix.
  std::string_view pass(std::string_view piece);
  bool done() const { return done_; }

 private:
  std::uint32_t left_;
  bool in_body_ = false;
  bool line_is_empty_ = true;
  bool done_ = false;
};

/// RFC 1939 7 UIDL: 1 to 70 characters from 0x21 to 0x7E.
bool is_unique_id(std::string_view id);

}  // namespace merpati::pop3
