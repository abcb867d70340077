// What a client reads: replies of a server, line by line, and what it offered to EHLO.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace merpati::smtp {

struct ServerReply {
  int code = 0;
  std::string enhanced;            ///< of the last line; empty when there is none (RFC 2034)
  std::vector<std::string> lines;  ///< texts, without code and without the enhanced code

  bool positive() const { return code >= 200 && code < 300; }
  bool temporary() const { return code >= 400 && code < 500; }
  /// All in one line, for logs and bounces: "550 5.1.1 no such user".
  std::string str() const;
};

/// Puts one reply together from its lines.
class ReplyParser {
 public:
  enum class State { kMore, kDone, kMalformed };
  /// A line without its CRLF. A reply of more than 100 lines, or whose code changes, is malformed.
  State feed(std::string_view line);
  const ServerReply& reply() const { return reply_; }
  ServerReply take();

 private:
  ServerReply reply_;
};

/// The extensions of a positive reply to EHLO (RFC 5321 4.1.1.1).
struct ServerExtensions {
  bool pipelining = false, eightbitmime = false, starttls = false, chunking = false, binarymime = false;
  bool smtputf8 = false, dsn = false, enhanced_status = false, size = false;
  std::uint64_t max_size = 0;                ///< 0: no limit told
  std::vector<std::string> auth;             ///< mechanisms, upper case
  std::uint32_t rcpt_max = 0, mail_max = 0;  ///< RFC 9422 LIMITS; 0: not told
};
ServerExtensions parse_extensions(const ServerReply& ehlo);

}  // namespace merpati::smtp
