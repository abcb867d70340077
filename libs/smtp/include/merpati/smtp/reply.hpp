// Replies of the server, and the one table that decides what an Error means for an SMTP client.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>
#include <span>
#include <string>
#include <string_view>

#include "merpati/base/error.hpp"

namespace merpati::smtp {

/// One reply. Texts are kept on a line: CR, LF and control characters become spaces when it is printed.
struct Reply {
  int code = 250;
  std::string enhanced;  ///< "2.1.0" (RFC 3463); empty: none, as in greetings and the reply to EHLO
  std::string text;

  bool positive() const { return code < 400; }
  bool permanent() const { return code >= 500; }
  friend bool operator==(const Reply&, const Reply&) = default;
};

/// Appends "250 2.1.0 text" with CRLF.
void append_reply(std::string& out, const Reply& reply);
/// The same without making a Reply.
void append_reply(std::string& out, int code, std::string_view enhanced, std::string_view text);
/// The same where the text may have several lines, with "\n" between them; each has the code and the enhanced status.
void append_reply_lines(std::string& out, const Reply& reply);
/// Appends a reply of several lines without enhanced codes, such as EHLO's.
void append_lines(std::string& out, int code, std::span<const std::string> lines);

/// Temporary or permanent is decided here and nowhere else. An enhanced status in the error wins when it agrees with
/// the code's class; its public text is shown, its log text never.
Reply reply_for(const Error& error);
/// For a message that a backend could not take. A bucket that is gone or a key that is refused says nothing of the
/// message, so the client shall keep it and come again: permanent only where the error has a public text.
Reply reply_for_message(const Error& error);

/// What a parser returns: the value, or the reply that tells the client what is wrong.
template <class T>
using Parsed = boost::system::result<T, Reply>;

[[noreturn]] void throw_exception_from_error(const Reply& reply, const boost::source_location& where);

}  // namespace merpati::smtp
