// What a ManageSieve server writes: strings, and the lines that end a command.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merpati/base/error.hpp"

namespace merpati::managesieve {

/// RFC 5804 1.3, without those that carry data (SASL, TAG) and those that nothing here means: REFERRAL (any edge serves
/// everybody), AUTH-TOO-WEAK and TRANSITION-NEEDED (they would tell strangers which names exist).
enum class ResponseCode : std::uint8_t {
  kNone,
  kEncryptNeeded,
  kQuota,
  kQuotaMaxScripts,
  kQuotaMaxSize,
  kTryLater,
  kActive,
  kNonexistent,
  kAlreadyExists,
  kWarnings
};
std::string_view to_string(ResponseCode code);  ///< such as "QUOTA/MAXSIZE"; empty for kNone

/// The one table from an Error to a response code, temporary or permanent.
ResponseCode response_code(const Error& error);

enum class Condition : std::uint8_t { kOk, kNo, kBye };

/// Quoted where that is possible, else a literal (RFC 5804 4: quoted strings have 1024 octets at most and no line
/// ends).
void append_string(std::string& out, std::string_view value);
/// "{n}" CRLF and the octets.
void append_literal(std::string& out, std::string_view value);

/// "NO (CODE) "text"" CRLF. `code` is the whole content of the parentheses; empty: none, as for `text`. A text of
/// several lines becomes a literal.
void append_response(std::string& out, Condition condition, std::string_view code, std::string_view text);
inline void append_response(std::string& out, Condition condition, ResponseCode code, std::string_view text) {
  append_response(out, condition, to_string(code), text);
}
/// With the error's code, and its public text or a plain one where it has none.
void append_response(std::string& out, Condition condition, const Error& error);

/// A code that carries a string: TAG and SASL.
std::string code_with_string(std::string_view name, std::string_view value);

}  // namespace merpati::managesieve
