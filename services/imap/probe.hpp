// Metrics of the IMAP edge: rate, errors and duration of each command, sessions, logins.
#pragma once

#include <array>
#include <chrono>

#include "merpati/imap/command.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::imap {

class Probe {
 public:
  explicit Probe(runtime::Metrics& metrics);

  enum class Outcome : std::uint8_t { kOk, kNo, kBad };
  void command(Verb verb, Outcome outcome, std::chrono::nanoseconds took) const;
  /// A line that was no command.
  void garbage() const { garbage_.add(); }

  runtime::Gauge sessions;
  runtime::Gauge idling;
  runtime::Counter connections;
  runtime::Counter logins_ok;
  runtime::Counter logins_failed;
  runtime::Counter cut_sessions;
  runtime::Counter watch_reconnects;
  runtime::Counter appended_bytes;
  runtime::Counter moves_learnt;
  runtime::Counter moves_dropped;
  runtime::Counter events_ran;
  runtime::Counter events_failed;
  runtime::Counter events_dropped;

 private:
  std::array<std::array<runtime::Counter, 3>, kVerbCount> commands_;
  std::array<runtime::Histogram, kVerbCount> seconds_;
  runtime::Counter garbage_;
};

}  // namespace merpati::imap
