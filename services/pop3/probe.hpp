// Metrics of the POP3 edge.
#pragma once

#include "merpati/edge/probe.hpp"
#include "merpati/pop3/command.hpp"

namespace merpati::pop3 {

class Probe : public edge::Probe {
 public:
  Probe() = default;  ///< counts nothing (tests)
  explicit Probe(runtime::Metrics& metrics);

  void command(Verb verb, bool ok, std::chrono::nanoseconds took) const {
    edge::Probe::command(static_cast<std::size_t>(verb), ok, took);
  }
  void deleted(std::uint64_t messages) const { deleted_.add(static_cast<double>(messages)); }
  void sent(std::uint64_t bytes) const { sent_.add(static_cast<double>(bytes)); }

 private:
  runtime::Counter deleted_, sent_;
};

}  // namespace merpati::pop3
