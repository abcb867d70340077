// Probe: the metrics that an edge has for its sessions, logins and commands.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "merpati/auth/v1/auth.pb.h"
#include "merpati/runtime/metrics.hpp"

namespace merpati::edge {

enum class LoginOutcome : std::uint8_t {
  kOk,
  kCredentials,  ///< wrong, or of a disabled account
  kSlowed,       ///< too many failures before
  kInUse,        ///< another session has the mailbox
  kDelay,        ///< too soon after the last one (LOGIN-DELAY)
  kTemporary,    ///< a backend is away
  kOther
};
inline constexpr std::size_t kLoginOutcomeCount = 7;

LoginOutcome outcome_of(auth::v1::LoginFailure::Reason reason);

/// The metrics' names, and the protocol's word for a command that failed.
struct ProbeNames {
  const char* sessions;
  const char* sessions_total;
  const char* logins_total;
  const char* commands_total;
  const char* command_seconds;
  const char* failed;
};

/// Copies count together. Any thread.
class Probe {
 public:
  Probe() = default;  ///< counts nothing (tests)
  /// A command's index in `commands` is the one that command() takes.
  Probe(runtime::Metrics& metrics, const ProbeNames& names, const std::vector<std::string>& commands);

  void session_began() const;
  void session_ended() const { sessions_.add(-1); }
  void login(LoginOutcome outcome) const { logins_[static_cast<std::size_t>(outcome)].add(); }
  void command(std::size_t index, bool ok, std::chrono::nanoseconds took) const;

 private:
  struct Command {
    runtime::Counter ok, failed;
    runtime::Histogram seconds;
  };
  runtime::Gauge sessions_;
  runtime::Counter sessions_total_;
  std::array<runtime::Counter, kLoginOutcomeCount> logins_;
  std::vector<Command> commands_;
};

}  // namespace merpati::edge
