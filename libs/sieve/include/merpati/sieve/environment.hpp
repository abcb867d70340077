// Environment: what a script may ask of the world around it. The filter service answers for a delivery, tests and
// `merpatictl sieve test` answer from values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"
#include "merpati/sieve/script.hpp"

namespace merpati::sieve {

/// The SMTP envelope of one recipient. Addresses without brackets; an empty `from` is <>.
struct Envelope {
  std::string from;
  std::string to;
  std::string auth;                 ///< who was authenticated; empty: nobody (the part "auth" of other servers)
  std::vector<std::string> notify;  ///< NOTIFY words (RFC 3461 4.1); envelope-dsn, RFC 6009 2
  std::string orcpt, ret, envid;    ///< as given, xtext decoded; empty: not given
};

enum class Location : std::uint8_t { kPersonal, kGlobal };

/// Answers are asked for while the script runs, on its thread, and must not change within one run. An error ends the
/// run and keeps the message; who has to fetch an answer first returns kAborted, fetches it and runs again, since a run
/// has no effects. The defaults say "there is nothing of that kind".
class Environment {
 public:
  virtual ~Environment() = default;

  /// Unix seconds, and the zone of `currentdate` in minutes east of UTC.
  virtual std::int64_t now() const = 0;
  virtual int zone_minutes() const { return 0; }
  /// The recipient's own addresses, beside the envelope's: for vacation (RFC 5230 4.5).
  virtual std::vector<std::string> own_addresses() const { return {}; }
  /// Whether another address, which a message names, is known to be the recipient's too.
  virtual Result<bool> is_own_address(std::string_view address) { return false; }

  /// RFC 5183 4.1 ("domain", "host", "location", "phase", "remote-host", "remote-ip") and RFC 6785 4.6 ("imap.cause",
  /// ...). Nothing: not known. Names are in lower case.
  virtual std::optional<std::string> item(std::string_view name) const { return std::nullopt; }
  /// ${env.NAME} of vnd.dovecot.environment.
  virtual std::optional<std::string> variable(std::string_view name) const { return std::nullopt; }

  /// The mailbox is there and mail may be filed into it (RFC 5490 3.1).
  virtual Result<bool> mailbox_exists(std::string_view name) { return false; }
  virtual Result<bool> mailbox_id_exists(std::string_view id) { return false; }
  /// All of `uses` ("\\Junk") are had by the mailbox, or without one by some mailbox each (RFC 8579 4).
  virtual Result<bool> special_use_exists(std::optional<std::string_view> mailbox, std::span<const std::string> uses) {
    return false;
  }
  /// Annotation of a mailbox, or without one of the server (RFC 5490 3.3, 4).
  virtual Result<std::optional<std::string>> metadata(std::optional<std::string_view> mailbox, std::string_view entry) {
    return std::optional<std::string>();
  }

  /// This key was remembered before and its time is not over (RFC 7352). Asking remembers nothing.
  virtual Result<bool> seen(std::string_view key) { return false; }

  /// The script, or null when there is none of this name (RFC 6609 3.2). kInvalidArgument: it has errors.
  virtual Result<std::shared_ptr<const Script>> include(Location location, std::string_view name) {
    return std::shared_ptr<const Script>();
  }

  /// External lists (RFC 6134).
  virtual bool list_known(std::string_view list) { return false; }
  virtual Result<bool> list_contains(std::string_view list, std::string_view value) { return false; }
  /// For redirects to them.
  virtual std::size_t list_size(std::string_view list) { return 0; }

  /// 0 to 100, nothing when it was not tested (RFC 5235 2); and 0 (not tested) to 5 (RFC 5235 3.1).
  virtual std::optional<int> spam_percent() const { return std::nullopt; }
  virtual int virus_value() const { return 0; }
};

}  // namespace merpati::sieve
