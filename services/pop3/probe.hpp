// Metrics of the POP3 edge.
#pragma once

#include <array>
#include <chrono>
#include <string_view>

#include "merpati/pop3/command.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::pop3 {

enum class LoginOutcome : std::uint8_t { kOk, kCredentials, kSlowed, kInUse, kDelay, kTemporary, kOther };

class Probe {
 public:
  Probe() = default;  ///< counts nothing (tests)
  explicit Probe(runtime::Metrics& metrics);

  void session_began() const;
  void session_ended() const { sessions_.add(-1); }
  void login(LoginOutcome outcome) const { logins_[static_cast<std::size_t>(outcome)].add(); }
  void command(Verb verb, bool ok, std::chrono::nanoseconds took) const;
  void deleted(std::uint64_t messages) const { deleted_.add(static_cast<double>(messages)); }
  void sent(std::uint64_t bytes) const { sent_.add(static_cast<double>(bytes)); }

 private:
  static constexpr std::size_t kVerbs = 15;
  runtime::Gauge sessions_;
  runtime::Counter sessions_total_, deleted_, sent_;
  std::array<runtime::Counter, 7> logins_;
  std::array<runtime::Counter, kVerbs> ok_, failed_;
  std::array<runtime::Histogram, kVerbs> seconds_;
};

}  // namespace merpati::pop3
