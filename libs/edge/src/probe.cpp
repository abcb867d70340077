#include "merpati/edge/probe.hpp"

namespace merpati::edge {

LoginOutcome outcome_of(auth::v1::LoginFailure::Reason reason) {
  using auth::v1::LoginFailure;
  switch (reason) {
    case LoginFailure::REASON_CREDENTIALS:
    case LoginFailure::REASON_DISABLED:
      return LoginOutcome::kCredentials;
    case LoginFailure::REASON_SLOWED:
      return LoginOutcome::kSlowed;
    case LoginFailure::REASON_TEMPORARY:
      return LoginOutcome::kTemporary;
    default:
      return LoginOutcome::kOther;
  }
}

Probe::Probe(runtime::Metrics& metrics, const ProbeNames& names, const std::vector<std::string>& commands)
    : sessions_(metrics.gauge(names.sessions, "Sessions that are open")),
      sessions_total_(metrics.counter(names.sessions_total, "Sessions that were begun")) {
  static constexpr std::array<const char*, kLoginOutcomeCount> kOutcomes{"ok",    "credentials", "slowed", "in_use",
                                                                         "delay", "temporary",   "other"};
  for (std::size_t i = 0; i < kOutcomes.size(); ++i)
    logins_[i] = metrics.counter(names.logins_total, "Logins by outcome", {{"outcome", kOutcomes[i]}});
  for (const auto& command : commands) {
    const auto counter = [&](const char* outcome) {
      return metrics.counter(names.commands_total, "Commands by outcome", {{"command", command}, {"outcome", outcome}});
    };
    commands_.push_back({counter("ok"), counter(names.failed),
                         metrics.histogram(names.command_seconds, "From a command to its answer",
                                           runtime::Metrics::latency_bounds(), {{"command", command}})});
  }
}

void Probe::session_began() const {
  sessions_.add(1);
  sessions_total_.add();
}

void Probe::command(std::size_t index, bool ok, std::chrono::nanoseconds took) const {
  if (index >= commands_.size()) return;
  const auto& command = commands_[index];
  (ok ? command.ok : command.failed).add();
  command.seconds.observe(std::chrono::duration<double>(took).count());
}

}  // namespace merpati::edge
