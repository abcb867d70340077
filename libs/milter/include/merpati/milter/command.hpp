// What the server says to a milter, appended to octets that wait to be sent.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <span>
#include <string>
#include <string_view>

#include "merpati/milter/options.hpp"

namespace merpati::milter {

/// The SMTP client.
struct ClientInfo {
  std::string name;  ///< its host name, or "[192.0.2.7]"
  boost::asio::ip::address address;
  std::uint16_t port = 0;
};

void append_negotiate(std::string& out);
void append_connect(std::string& out, const ClientInfo& client);
void append_helo(std::string& out, std::string_view name);
/// MAIL and RCPT: the address without angle brackets, and the parameters of ESMTP as the client wrote them.
void append_mail(std::string& out, std::string_view reverse_path, std::span<const std::string> parameters);
void append_recipient(std::string& out, std::string_view address, std::span<const std::string> parameters);
/// One field: its value without the last line end; folded lines are put apart by LF, as Sendmail does. Without
/// `leading_space` a space right behind the colon is left out (SMFIP_HDR_LEADSPC).
void append_header(std::string& out, std::string_view name, std::string_view value, bool leading_space);
/// At most kBodyChunk octets.
void append_body(std::string& out, std::string_view chunk);
void append_unknown(std::string& out, std::string_view line);
/// Data, end of header, end of message, abort, quit: what has no data.
void append_command(std::string& out, Command command);
/// The macros that go with the `next` command; nothing when none of them has a value.
void append_macros(std::string& out, Command next, std::span<const std::string> names, const Macros& values);

}  // namespace merpati::milter
