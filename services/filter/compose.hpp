// Messages that scripts send: vacation notices, refusals, notifications, reports, and what tells an account's owner of
// an error. Pure functions; what comes from others goes into headers only after it was made harmless.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merpati/sieve/outcome.hpp"

namespace merpati::filter {

/// About whom and what a message is composed.
struct Occasion {
  std::string host;          ///< our name
  std::string address;       ///< the account's
  std::string sender;        ///< the envelope's, "" for <>
  std::string_view header;   ///< header block of the message that was received
  std::string_view message;  ///< all of it; empty: too large
  std::int64_t now = 0;      ///< Unix seconds
};

/// RFC 5230 5.
std::string compose_vacation(const sieve::Vacation& reply, const Occasion& occasion);
/// For who is told after the SMTP dialog: an MDN for reject, a DSN for ereject (RFC 5429 2).
std::string compose_refusal(const sieve::Reject& reject, const Occasion& occasion);
/// RFC 5436 2.
std::string compose_notification(const sieve::Notify& note, const Occasion& occasion);
/// RFC 5965.
std::string compose_report(const sieve::Report& report, const Occasion& occasion);
/// To the account's owner.
std::string compose_error_notice(const sieve::RuntimeError& error, const Occasion& occasion);

/// What may follow "550 5.7.1 " in one SMTP reply line: ASCII on one line.
std::string refusal_text(std::string_view reason);

}  // namespace merpati::filter
