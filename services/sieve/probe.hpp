// Metrics of the ManageSieve edge.
#pragma once

#include <array>
#include <chrono>

#include "merpati/managesieve/command.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::managesieve {

enum class LoginOutcome : std::uint8_t { kOk, kCredentials, kSlowed, kTemporary, kOther };

class Probe {
 public:
  Probe() = default;  ///< counts nothing (tests)
  explicit Probe(runtime::Metrics& metrics);

  void session_began() const;
  void session_ended() const { sessions_.add(-1); }
  void login(LoginOutcome outcome) const { logins_[static_cast<std::size_t>(outcome)].add(); }
  void command(Verb verb, bool ok, std::chrono::nanoseconds took) const;

 private:
  runtime::Gauge sessions_;
  runtime::Counter sessions_total_;
  std::array<runtime::Counter, 5> logins_;
  std::array<runtime::Counter, kVerbCount> ok_, failed_;
  std::array<runtime::Histogram, kVerbCount> seconds_;
};

}  // namespace merpati::managesieve
