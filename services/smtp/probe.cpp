#include "smtp/probe.hpp"

#include <string>

namespace merpati::smtp {

Probe::Probe(runtime::Metrics& metrics) {
  for (std::size_t verb = 0; verb < kVerbs; ++verb) {
    const std::string name(to_string(static_cast<Verb>(verb)));
    for (int code = 2; code <= 5; ++code) {
      commands_[verb][static_cast<std::size_t>(code)] =
          metrics.counter("merpati_smtp_commands_total", "Commands by verb and class of the reply",
                          {{"command", name}, {"class", std::to_string(code) + "xx"}});
    }
    command_seconds_[verb] =
        metrics.histogram("merpati_smtp_command_seconds", "From a command to its reply; DATA and BDAT with the message",
                          runtime::Metrics::latency_bounds(), {{"command", name}});
  }
  const char* const outcomes[] = {"accepted", "refused", "temporary"};
  for (std::size_t i = 0; i < messages_.size(); ++i)
    messages_[i] =
        metrics.counter("merpati_smtp_messages_total", "Messages by what became of them", {{"outcome", outcomes[i]}});
  message_bytes_ =
      metrics.histogram("merpati_smtp_message_bytes", "Octets of accepted messages", runtime::Metrics::size_bounds());
  message_seconds_ = metrics.histogram("merpati_smtp_message_seconds", "From the last octet of a message to the reply",
                                       runtime::Metrics::latency_bounds());
  refused_connections_ =
      metrics.counter("merpati_smtp_refused_connections_total", "Connections ended before the greeting");
  accept_errors_ = metrics.counter("merpati_smtp_accept_errors_total", "Failures of accept(), such as EMFILE");
  smuggling_ =
      metrics.counter("merpati_smtp_bare_line_ends_total", "Messages refused for a CR or LF that stands alone");
  in_doubt_ = metrics.counter("merpati_smtp_in_doubt_total", "Deliveries whose outcome could not be learnt");
  cut_ = metrics.counter("merpati_smtp_sessions_cut_total", "Sessions cut at the end of the grace period");
  sessions_ = metrics.gauge("merpati_smtp_sessions", "Sessions open");
  bytes_in_flight_ = metrics.gauge("merpati_smtp_in_flight_bytes", "Octets of messages being received");
}

void Probe::command(Verb verb, int code) const {
  commands_[static_cast<std::size_t>(verb)][static_cast<std::size_t>(code / 100)].add();
}

void Probe::message(Outcome outcome, std::uint64_t bytes, double seconds) const {
  messages_[static_cast<std::size_t>(outcome)].add();
  if (outcome == Outcome::kAccepted) message_bytes_.observe(static_cast<double>(bytes));
  message_seconds_.observe(seconds);
}

}  // namespace merpati::smtp
