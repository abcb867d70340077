// Outcome: what a run of scripts wants done. Values only: nothing was done yet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "merpati/sieve/script.hpp"

namespace merpati::sieve {

/// Where a copy goes. Of `mailbox_id` and `special_use` the first that exists counts, else `mailbox`.
struct Filing {
  std::string mailbox;
  std::string mailbox_id;   ///< RFC 9042 4; empty: none
  std::string special_use;  ///< RFC 8579 5, "\\Junk"; empty: none
  bool create = false;
  std::vector<std::string> flags;
  friend bool operator==(const Filing&, const Filing&) = default;
};

/// Into INBOX.
struct Keep {
  bool implicit = false;
  std::vector<std::string> flags;
};
struct FileInto {
  Filing into;
};
struct Redirect {
  std::string address;  ///< a mailbox without brackets; empty when it goes to a list
  std::string list;     ///< RFC 6134 2.6: everybody on this external list
  std::string notify;   ///< RFC 6009 3: NOTIFY for the copy; empty: as the server does
  std::string ret;
  std::string by_mode;  ///< "notify" or "return"; empty: no deliver-by
  bool by_trace = false;
  std::int64_t by_seconds = 0;  ///< from now
};
/// `early`: ereject, which wants the refusal in SMTP's reply (RFC 5429 2.1).
struct Reject {
  std::string reason;
  bool early = false;
};
/// A reply that may be sent: the message itself allows one. The memory of `key` for `seconds` decides (RFC 5230 4.2).
struct Vacation {
  std::string key;  ///< SHA-256 in hexadecimal of the handle or of what the reply says, and of the sender
  std::int64_t seconds = 0;
  std::string to;
  std::string from;  ///< as it stands in From; empty: the recipient's address
  std::string subject;
  std::string reason;
  bool mime = false;  ///< `reason` is a MIME entity with header
  std::string in_reply_to, references;
  std::optional<Filing> fcc;
};
struct Notify {
  std::string method;                                        ///< the URI
  std::vector<std::string> recipients;                       ///< of mailto:
  std::vector<std::pair<std::string, std::string>> headers;  ///< of mailto:; To, Cc, Bcc are in `recipients`
  std::string from, importance, message;
  std::vector<std::string> options;
  std::optional<Filing> fcc;
};
/// vnd.dovecot.report: a message/feedback-report (RFC 5965).
struct Report {
  std::string type, text, to;
  bool headers_only = false;
};

struct Action {
  Position at;              ///< of the command; {0, 0} for the implicit keep
  std::size_t version = 0;  ///< of the message, in Outcome::versions
  std::variant<Keep, FileInto, Redirect, Reject, Vacation, Notify, Report> what;
};

/// The message as edits left it. Version 0 is the message as it came, with both parts empty.
struct Version {
  std::string header;               ///< the whole header block, with its empty line
  std::optional<std::string> body;  ///< when it was replaced
};

/// A key for the duplicate memory, to be remembered once the message is delivered (RFC 7352 3).
struct Remember {
  std::string key;
  std::int64_t seconds = 0;
};

struct TraceLine {
  Position at;
  std::string script;  ///< name of the script
  std::string text;
};

struct RuntimeError {
  Position at;
  std::string script;
  std::string message;     ///< safe to show to the script's owner
  bool temporary = false;  ///< the environment could not answer; the script is not at fault
};

/// With an error, `actions` is the implicit keep alone (RFC 5228 2.10.6): nothing of the script takes effect.
struct Outcome {
  std::vector<Action> actions;
  bool discarded = false;  ///< no copy is kept because `discard` said so
  std::vector<Version> versions;
  std::vector<Remember> remember;
  std::vector<std::string> log;  ///< of debug_log
  std::vector<TraceLine> trace;
  std::optional<RuntimeError> error;
  std::uint64_t steps = 0;
};

}  // namespace merpati::sieve
