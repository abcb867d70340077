// Runs scripts over one message. No effects, no I/O but what the environment does.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/sieve/environment.hpp"
#include "merpati/sieve/outcome.hpp"

namespace merpati::sieve {

/// What one run may use; more is a run-time error that names the limit.
struct RunLimits {
  std::uint64_t max_steps = 1'000'000;  ///< a command or test is one, and so are every 64 octets that are compared
  std::size_t max_memory = 8 << 20;     ///< octets of variables, made text and edited messages
  std::size_t max_variable = 64 << 10;  ///< octets; longer values are cut at a character (RFC 5229 4)
  std::size_t max_actions = 64;
  std::size_t max_redirects = 4;
  std::size_t max_list_redirect = 20;  ///< members of a list that a message goes to
  std::size_t max_own_addresses = 20;  ///< that vacation asks about
  std::size_t max_notifications = 4;
  std::size_t max_includes = 64;       ///< in all
  std::size_t max_include_depth = 10;  ///< inside each other
  std::size_t max_header_edits = 200;
  std::size_t max_trace = 2000;  ///< lines; later ones are dropped
  std::int64_t min_vacation_seconds = 24 * 3600;
  std::int64_t default_vacation_seconds = 7 * 24 * 3600;
  std::int64_t max_vacation_seconds = 60 * 24 * 3600;
  std::int64_t max_duplicate_seconds = 7 * 24 * 3600;
};

/// A script with its name for traces and errors.
struct NamedScript {
  std::string name;
  std::shared_ptr<const Script> script;
};

struct RunOptions {
  RunLimits limits;
  bool trace = false;
  /// The message is in a mailbox, where somebody put or changed it (RFC 6785): there is no envelope, what answers a
  /// delivery is an error, and keep leaves it where it is.
  bool imap_event = false;
  std::vector<std::string> flags;  ///< that it has: what the internal variable of RFC 5232 begins with
};

/// Of the flags of a message those that scripts can see and change: system flags, and keywords that are atoms.
std::vector<std::string> flags_for_scripts(const std::vector<std::string>& flags);

/// The scripts in their order: global ones before, the user's, global ones after. A `stop` or an explicit end of the
/// implicit keep in one ends all; actions gather. `message` stays the caller's. Any thread.
Outcome run(std::span<const NamedScript> scripts, std::string_view message, const Envelope& envelope,
            Environment& environment, const RunOptions& options = {});

}  // namespace merpati::sieve
