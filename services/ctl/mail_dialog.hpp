// MailDialog: a plain client of SMTP, IMAP and POP3 for `merpatictl selftest`. Certificates are not verified: whoever
// runs it holds an administrator's token, and the account is thrown away.
#pragma once

#include <string>
#include <vector>

#include "merpati/net/connection.hpp"

namespace merpati::ctl {

class MailDialog {
 public:
  /// Connects to "host:port" by the first address that answers. kUnavailable, with the reason, otherwise.
  static Task<MailDialog> open(const std::string& server, Deadline deadline);

  /// A line, without its end.
  Task<std::string> read();
  Task<void> send(const std::string& line);
  /// Sends a line and reads one that must begin with `wanted`.
  Task<std::string> ask(const std::string& line, const std::string& wanted);
  /// Reads one that must begin with `wanted`. kFailedPrecondition, with what came, otherwise.
  Task<std::string> expect(const std::string& wanted);
  /// Reads up to and with a line that begins with `end`; all lines.
  Task<std::vector<std::string>> read_to(const std::string& end);
  Task<void> start_tls();

 private:
  MailDialog(std::string server, net::Stream stream, Deadline deadline)
      : server_(std::move(server)), connection_(std::move(stream)), deadline_(deadline) {}

  std::string server_;
  net::Connection connection_;
  Deadline deadline_;
};

/// Sends `message` (lines end in CRLF) from the empty reverse-path to `recipient` (RFC 5321).
Task<void> send_by_smtp(std::string server, std::string recipient, std::string message, Deadline deadline);
/// All of the mailbox's messages, as they came over IMAP (RFC 9051) with TLS.
Task<std::string> read_by_imap(std::string server, std::string user, std::string password, Deadline deadline);
/// The same by POP3 (RFC 1939).
Task<std::string> read_by_pop3(std::string server, std::string user, std::string password, Deadline deadline);

}  // namespace merpati::ctl
