#include "sieve/probe.hpp"

#include "merpati/managesieve/command.hpp"

namespace merpati::managesieve {

edge::Probe make_probe(runtime::Metrics& metrics) {
  static constexpr edge::ProbeNames kNames{.sessions = "merpati_sieve_sessions",
                                           .sessions_total = "merpati_sieve_sessions_total",
                                           .logins_total = "merpati_sieve_logins_total",
                                           .commands_total = "merpati_sieve_commands_total",
                                           .command_seconds = "merpati_sieve_command_seconds",
                                           .failed = "no"};
  std::vector<std::string> commands;
  for (std::size_t i = 0; i < kVerbCount; ++i) commands.emplace_back(to_string(static_cast<Verb>(i)));
  return edge::Probe(metrics, kNames, commands);
}

}  // namespace merpati::managesieve
