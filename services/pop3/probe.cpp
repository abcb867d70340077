#include "pop3/probe.hpp"

namespace merpati::pop3 {

namespace {
constexpr edge::ProbeNames kNames{.sessions = "merpati_pop3_sessions",
                                  .sessions_total = "merpati_pop3_sessions_total",
                                  .logins_total = "merpati_pop3_logins_total",
                                  .commands_total = "merpati_pop3_commands_total",
                                  .command_seconds = "merpati_pop3_command_seconds",
                                  .failed = "err"};

std::vector<std::string> command_names() {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < kVerbCount; ++i) out.emplace_back(to_string(static_cast<Verb>(i)));
  return out;
}
}  // namespace

Probe::Probe(runtime::Metrics& metrics)
    : edge::Probe(metrics, kNames, command_names()),
      deleted_(metrics.counter("merpati_pop3_deleted_total", "Messages removed at QUIT")),
      sent_(metrics.counter("merpati_pop3_sent_bytes_total", "Octets of messages sent by RETR and TOP")) {}

}  // namespace merpati::pop3
