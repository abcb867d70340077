#include "pop3/probe.hpp"

namespace merpati::pop3 {

Probe::Probe(runtime::Metrics& metrics)
    : sessions_(metrics.gauge("merpati_pop3_sessions", "POP3 sessions that are open")),
      sessions_total_(metrics.counter("merpati_pop3_sessions_total", "POP3 sessions that were begun")),
      deleted_(metrics.counter("merpati_pop3_deleted_total", "Messages removed at QUIT")),
      sent_(metrics.counter("merpati_pop3_sent_bytes_total", "Octets of messages sent by RETR and TOP")) {
  static constexpr std::array<const char*, 7> kOutcomes{"ok",    "credentials", "slowed", "in_use",
                                                        "delay", "temporary",   "other"};
  for (std::size_t i = 0; i < kOutcomes.size(); ++i)
    logins_[i] = metrics.counter("merpati_pop3_logins_total", "Logins by outcome", {{"outcome", kOutcomes[i]}});
  for (std::size_t i = 0; i < kVerbs; ++i) {
    const std::string name(to_string(static_cast<Verb>(i)));
    ok_[i] =
        metrics.counter("merpati_pop3_commands_total", "Commands by outcome", {{"command", name}, {"outcome", "ok"}});
    failed_[i] =
        metrics.counter("merpati_pop3_commands_total", "Commands by outcome", {{"command", name}, {"outcome", "err"}});
    seconds_[i] = metrics.histogram("merpati_pop3_command_seconds", "From a command to its answer",
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

}  // namespace merpati::pop3
