// MilterSeat: one configured milter as all SMTP dialogs of this process share it: how it is reached, whether it is left
// alone, what is counted.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "filter/circuit_breaker.hpp"
#include "filter/engine.hpp"
#include "filter/scanner_link.hpp"
#include "merpati/milter/client.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

struct MilterSettings {
  std::string name;
  bool mx = true;  ///< sees mail of MX listeners
  bool submission = false;
  milter::Timeouts timeouts;
  std::chrono::milliseconds message{240'000};  ///< for one message's content and its end together
  WhenUnchecked when_unchecked = WhenUnchecked::kTemporary;
  CircuitBreaker::Settings breaker;
  std::uint64_t max_size = 64 * 1024 * 1024;
  std::uint32_t max_connections = 1000;

  bool sees(std::string_view listener) const { return listener == "submission" ? submission : mx && listener == "mx"; }
};

/// Thread safe. Outlives the connections that it made.
class MilterSeat {
 public:
  MilterSeat(MilterSettings settings, std::shared_ptr<ScannerLink> link, runtime::Metrics& metrics);

  const MilterSettings& settings() const { return settings_; }
  const std::string& name() const { return settings_.name; }

  /// A connection, with the options settled. kResourceExhausted when there are too many, kUnavailable when the milter
  /// is left alone or away, others as milter::Client.
  Task<std::unique_ptr<milter::Client>> open();
  /// Gives back a place that open() has taken with its client.
  void closed();

  /// What became of a stage: the milter said something, or failed. A final answer ends its part in a message or a
  /// connection, and shows that it is well.
  enum class Final : std::uint8_t { kNo, kYes };
  void said(milter::Answer answer, Final final);
  void failed(const Error& error);
  /// The whole of one message took so long.
  void took(std::chrono::steady_clock::duration time) { seconds_.observe(std::chrono::duration<double>(time).count()); }

 private:
  Task<std::unique_ptr<milter::Client>> connect();

  const MilterSettings settings_;
  const std::shared_ptr<ScannerLink> link_;
  CircuitBreaker breaker_;
  std::atomic<std::uint32_t> connections_ = 0;
  runtime::Counter checked_, failures_, avoided_;
  runtime::Gauge open_, connected_;
  runtime::Histogram seconds_;
  std::array<runtime::Counter, 8> answers_;
};

}  // namespace merpati::filter
