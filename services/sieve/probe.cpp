#include "sieve/probe.hpp"

namespace merpati::managesieve {

Probe::Probe(runtime::Metrics& metrics)
    : sessions_(metrics.gauge("merpati_sieve_sessions", "ManageSieve sessions that are open")),
      sessions_total_(metrics.counter("merpati_sieve_sessions_total", "ManageSieve sessions that were begun")) {
  static constexpr std::array<const char*, 5> kOutcomes{"ok", "credentials", "slowed", "temporary", "other"};
  for (std::size_t i = 0; i < kOutcomes.size(); ++i)
    logins_[i] = metrics.counter("merpati_sieve_logins_total", "Logins by outcome", {{"outcome", kOutcomes[i]}});
  for (std::size_t i = 0; i < kVerbCount; ++i) {
    const std::string name(to_string(static_cast<Verb>(i)));
    ok_[i] =
        metrics.counter("merpati_sieve_commands_total", "Commands by outcome", {{"command", name}, {"outcome", "ok"}});
    failed_[i] =
        metrics.counter("merpati_sieve_commands_total", "Commands by outcome", {{"command", name}, {"outcome", "no"}});
    seconds_[i] = metrics.histogram("merpati_sieve_command_seconds", "From a command to its answer",
                                    runtime::Metrics::latency_bounds(), {{"command", name}});
  }
}

void Probe::session_began() const {
  sessions_.add(1);
  sessions_total_.add();
}

void Probe::command(Verb verb, bool ok, std::chrono::nanoseconds took) const {
  const auto index = static_cast<std::size_t>(verb);
  (ok ? ok_ : failed_)[index].add();
  seconds_[index].observe(std::chrono::duration<double>(took).count());
}

}  // namespace merpati::managesieve
