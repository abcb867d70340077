// What we put before a message: Return-Path, Delivered-To and Received, and what a submitted message lacks.
#pragma once

#include <string>
#include <string_view>

#include "merpati/base/clock.hpp"
#include "merpati/net/address.hpp"
#include "merpati/net/stream.hpp"

namespace merpati::smtp {

/// "Mon, 23 Nov 2026 09:26:36 +0000" (RFC 5322 3.3), in UTC.
std::string mail_date(WallTime when);

struct ReceivedFrom {
  std::string helo;
  net::IpAddress client;
  std::string by;        ///< our name
  std::string protocol;  ///< RFC 3848 and RFC 6531 transmission type: "ESMTPSA"
  std::string id;
  net::TlsInfo tls;  ///< version empty: plain
  std::string date;
};
/// The Received field (RFC 5321 4.4) up to the place of the `for` clause, which differs between recipients, and the
/// rest.
class Received {
 public:
  explicit Received(const ReceivedFrom& from);
  /// With CRLF at its end. `recipient` empty: no `for` clause.
  std::string line(std::string_view recipient) const;

 private:
  std::string before_, after_;
};

/// The transmission type.
std::string_view transmission_type(bool esmtp, bool tls, bool authenticated, bool utf8);

/// The value's presence only: does the header block of `message` have a field of this name (lower case)?
bool has_field(std::string_view message, std::string_view lower_case_name);

/// RFC 6409 8: Date and Message-ID, as whole fields, where the header block has none. `id`: without angle brackets.
std::string lacking_fields(std::string_view header, std::string_view date, std::string_view id);

/// The identifier of a header block's Message-ID, without angle brackets; empty when there is none.
std::string message_id_of(std::string_view header);

}  // namespace merpati::smtp
