// The SMTP edge's metrics.
#pragma once

#include <array>
#include <string_view>

#include "merpati/runtime/metrics.hpp"
#include "merpati/smtp/command.hpp"

namespace merpati::smtp {

class Probe {
 public:
  explicit Probe(runtime::Metrics& metrics);

  enum class Outcome { kAccepted, kRefused, kTemporary };
  void command(Verb verb, int code) const;
  void command_took(Verb verb, double seconds) const {
    command_seconds_[static_cast<std::size_t>(verb)].observe(seconds);
  }
  void message(Outcome outcome, std::uint64_t bytes, double seconds) const;
  void refused_connection() const { refused_connections_.add(); }
  void accept_error() const { accept_errors_.add(); }
  void smuggling() const { smuggling_.add(); }
  void in_doubt() const { in_doubt_.add(); }
  void cut(std::size_t sessions) const { cut_.add(static_cast<double>(sessions)); }
  void sessions(double change) const { sessions_.add(change); }
  void bytes_in_flight(double bytes) const { bytes_in_flight_.set(bytes); }

 private:
  static constexpr std::size_t kVerbs = static_cast<std::size_t>(Verb::kAuth) + 1;
  std::array<std::array<runtime::Counter, 6>, kVerbs> commands_;
  std::array<runtime::Histogram, kVerbs> command_seconds_;
  std::array<runtime::Counter, 3> messages_;
  runtime::Histogram message_bytes_, message_seconds_;
  runtime::Counter refused_connections_, accept_errors_, smuggling_, in_doubt_, cut_;
  runtime::Gauge sessions_, bytes_in_flight_;
};

}  // namespace merpati::smtp
