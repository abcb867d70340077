#include "merpati/sieve/capability.hpp"

#include <algorithm>

namespace merpati::sieve {
namespace {

constexpr std::string_view kCapabilities[] = {
    "body",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "comparator-i;unicode-casemap",
    "copy",
    "date",
    "duplicate",
    "editheader",
    "enclose",
    "encoded-character",
    "enotify",
    "envelope",
    "envelope-dsn",
    "environment",
    "ereject",
    "extlists",
    "extracttext",
    "fcc",
    "fileinto",
    "foreverypart",
    "ihave",
    "imap4flags",
    "imapsieve",
    "include",
    "index",
    "mailbox",
    "mailboxid",
    "mboxmetadata",
    "mime",
    "redirect-deliverby",
    "redirect-dsn",
    "regex",
    "reject",
    "relational",
    "replace",
    "servermetadata",
    "spamtest",
    "spamtestplus",
    "special-use",
    "subaddress",
    "vacation",
    "vacation-seconds",
    "variables",
    "virustest",
    "vnd.dovecot.debug",
    "vnd.dovecot.environment",
    "vnd.dovecot.report",
};

}  // namespace

std::span<const std::string_view> capabilities() { return kCapabilities; }

bool has_capability(std::string_view name) { return std::ranges::binary_search(kCapabilities, name); }

std::string_view implied_by(std::string_view name) {
  if (name == "spamtestplus") return "spamtest";                // RFC 5235 2.1
  if (name == "vacation-seconds") return "vacation";            // RFC 6131 2
  if (name == "vnd.dovecot.environment") return "environment";  // Pigeonhole's own specification
  return {};
}

bool fits_imap_events(std::string_view name) {
  return name != "reject" && name != "ereject" && name != "vacation" && name != "vacation-seconds";
}

}  // namespace merpati::sieve
