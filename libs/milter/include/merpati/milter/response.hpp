// What a milter says, read from its packets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"
#include "merpati/milter/packet.hpp"
#include "merpati/milter/protocol.hpp"

namespace merpati::milter {

struct Response {
  Answer answer = Answer::kContinue;
  int code = 0;          ///< kReplyCode: of SMTP, 4xx or 5xx
  std::string enhanced;  ///< kReplyCode: "5.7.1", where it says one
  /// kReplyCode: the lines, with "\n" between them; kQuarantine: the reason; kReplaceBody: octets; recipients and
  /// senders: the address without angle brackets; kNegotiate, kSetMacros: the data as it came.
  std::string text;
  std::string name;         ///< of a header field
  std::string value;        ///< of a header field, folded by CRLF; empty with kChangeHeader: delete it
  std::uint32_t index = 0;  ///< of a header field
  bool said = true;         ///< false: the milter did not want the command, or answers none of its kind

  /// Whether it asks for a change of the message, at its end, before the answer that counts.
  bool changes() const;
};

/// kInvalidArgument when it is no packet that a milter may send.
Result<Response> parse_response(const Packet& packet);

/// "reject", "tempfail", "reply", for logs.
std::string_view to_string(Answer answer);

}  // namespace merpati::milter
