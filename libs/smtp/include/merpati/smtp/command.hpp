// Commands of the client, parsed: RFC 5321 4.1.1 and the extensions' parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "merpati/smtp/address.hpp"
#include "merpati/smtp/reply.hpp"

namespace merpati::smtp {

enum class Verb : std::uint8_t {
  kUnknown,
  kHelo,
  kEhlo,
  kMail,
  kRcpt,
  kData,
  kBdat,
  kRset,
  kNoop,
  kVrfy,
  kExpn,
  kHelp,
  kQuit,
  kStartTls,
  kAuth,
};

/// The verb and what stands behind it, without the space between and the spaces at the end.
struct CommandLine {
  Verb verb = Verb::kUnknown;
  std::string_view argument;
};
CommandLine split_command(std::string_view line);
/// "MAIL", for logs and metrics.
std::string_view to_string(Verb verb);

enum class BodyType : std::uint8_t { k7Bit, k8BitMime, kBinaryMime };
std::string_view to_string(BodyType type);

/// Which parameters a server takes; one it does not offer is answered 555 (RFC 5321 4.1.1.11).
struct Offered {
  std::uint64_t max_size = 0;  ///< 0: SIZE is offered without a limit
  bool smtputf8 = true;
  bool binarymime = true;
  bool dsn = false;
  bool auth = false;
};

struct MailCommand {
  std::optional<Address> reverse_path;  ///< absent: <>
  std::uint64_t size = 0;               ///< RFC 1870; 0: not told
  BodyType body = BodyType::k7Bit;      ///< RFC 6152, RFC 3030
  bool smtputf8 = false;                ///< RFC 6531
  std::optional<std::string> auth;      ///< RFC 4954 5, decoded; "" for <>
  bool return_headers_only = false;     ///< RFC 3461 RET=HDRS
  std::string envelope_id;              ///< RFC 3461 ENVID, decoded
};
/// The argument of MAIL: "FROM:<path> parameters". 552 5.3.4 when SIZE is above the offered one.
Parsed<MailCommand> parse_mail(std::string_view argument, const Offered& offered);

struct RcptCommand {
  Address forward_path;
  std::string notify;              ///< RFC 3461 NOTIFY as given, upper case
  std::string original_recipient;  ///< RFC 3461 ORCPT as given
};
/// `utf8` when the transaction has SMTPUTF8.
Parsed<RcptCommand> parse_rcpt(std::string_view argument, const Offered& offered, Utf8 utf8);

struct BdatCommand {
  std::uint64_t size = 0;
  bool last = false;
};
Parsed<BdatCommand> parse_bdat(std::string_view argument);  ///< RFC 3030 2

struct AuthCommand {
  std::string mechanism;                        ///< upper case
  std::optional<std::string> initial_response;  ///< decoded; "" for "="
};
Parsed<AuthCommand> parse_auth(std::string_view argument);  ///< RFC 4954 4

/// The name that EHLO or HELO gives. Syntax is judged mildly (RFC 5321 4.1.4 forbids to refuse for a wrong name):
/// 501 only when it is empty or has octets that must not stand in a header.
Parsed<std::string> parse_hello(std::string_view argument);

/// RFC 3461 4 xtext.
std::optional<std::string> decode_xtext(std::string_view text);
std::string encode_xtext(std::string_view text);

}  // namespace merpati::smtp
