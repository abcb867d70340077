// A Sieve script tried in a world made of arguments.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ctl/output.hpp"
#include "merpati/sieve/interpreter.hpp"

namespace merpati::ctl {

struct SieveWorld {
  sieve::Envelope envelope;
  std::vector<std::string> addresses;
  std::string include, include_global;  ///< folders; empty: none
  std::vector<std::string> mailboxes;
  std::optional<int> spam_percent;
  int virus_value = 0;
  std::optional<std::int64_t> now;
  std::string imap_cause;  ///< not empty: the message is in a mailbox, and this happened (RFC 6785 4.3)
  std::string imap_mailbox = "INBOX";
  std::vector<std::string> flags, changed_flags;  ///< of a message in a mailbox
  bool trace = true;
  bool show_message = false;
};

/// Runs it. `actions` and `trace` are lists of objects; `error` is there when the run failed.
Json try_sieve(const std::string& name, std::shared_ptr<const sieve::Script> script, const std::string& message,
               const SieveWorld& world);

}  // namespace merpati::ctl
