#include "imap/probe.hpp"

namespace merpati::imap {
namespace {

runtime::Counter event_messages(runtime::Metrics& metrics, const char* result) {
  return metrics.counter("merpati_imap_event_messages_total", "Messages of commands that there are Sieve scripts for",
                         {{"result", result}});
}

}  // namespace

Probe::Probe(runtime::Metrics& metrics)
    : sessions(metrics.gauge("merpati_imap_sessions", "IMAP sessions open now")),
      idling(metrics.gauge("merpati_imap_idling_sessions", "IMAP sessions in IDLE now")),
      connections(metrics.counter("merpati_imap_connections_total", "IMAP sessions begun")),
      logins_ok(metrics.counter("merpati_imap_logins_total", "IMAP logins", {{"result", "ok"}})),
      logins_failed(metrics.counter("merpati_imap_logins_total", "IMAP logins", {{"result", "failed"}})),
      cut_sessions(metrics.counter("merpati_imap_cut_sessions_total", "IMAP sessions cut at the end of a drain")),
      watch_reconnects(
          metrics.counter("merpati_imap_watch_reconnects_total", "Watch streams to the store opened anew")),
      appended_bytes(metrics.counter("merpati_imap_appended_bytes_total", "Octets received by APPEND")),
      moves_learnt(metrics.counter("merpati_imap_junk_moves_total", "Messages put into Junk or moved out of it",
                                   {{"result", "learnt"}})),
      moves_dropped(metrics.counter("merpati_imap_junk_moves_total", "Messages put into Junk or moved out of it",
                                    {{"result", "dropped"}})),
      events_ran(event_messages(metrics, "ran")),
      events_failed(event_messages(metrics, "failed")),
      events_dropped(event_messages(metrics, "dropped")),
      garbage_(
          metrics.counter("merpati_imap_commands_total", "IMAP commands", {{"command", "none"}, {"result", "bad"}})) {
  constexpr const char* kResults[] = {"ok", "no", "bad"};
  for (std::size_t verb = 0; verb < kVerbCount; ++verb) {
    const std::string name(to_string(static_cast<Verb>(verb)));
    for (std::size_t result = 0; result < 3; ++result) {
      commands_[verb][result] = metrics.counter("merpati_imap_commands_total", "IMAP commands",
                                                {{"command", name}, {"result", kResults[result]}});
    }
    seconds_[verb] = metrics.histogram("merpati_imap_command_seconds", "Time to answer an IMAP command",
                                       runtime::Metrics::latency_bounds(), {{"command", name}});
  }
}

void Probe::command(Verb verb, Outcome outcome, std::chrono::nanoseconds took) const {
  const auto index = static_cast<std::size_t>(verb);
  commands_[index][static_cast<std::size_t>(outcome)].add();
  seconds_[index].observe(std::chrono::duration<double>(took).count());
}

}  // namespace merpati::imap
