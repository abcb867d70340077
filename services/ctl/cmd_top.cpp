// merpatictl top: live figures.
#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include "ctl/commands.hpp"
#include "ctl/figures.hpp"

namespace merpati::ctl {
namespace {

struct TopOptions {
  double interval = 2;
  bool once = false;
};

std::string number(const Json& object, const char* key) {
  if (!object.contains(key)) return "-";
  const auto& value = object[key];
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  return fmt::format("{:.1f}", value.get<double>());
}

void print_frame(const Json& frame) {
  const Json& totals = frame["totals"];
  const auto n = [&](const char* key) { return number(totals, key); };
  std::cout << fmt::format("replicas  {} of {} ready\n", n("ready"), n("replicas"));
  std::cout << fmt::format("smtp      {} sessions, {} commands/s, {} messages/s\n", n("smtp_sessions"),
                           n("smtp_commands_per_second"), n("messages_accepted_per_second"));
  std::cout << fmt::format("imap      {} sessions, {} commands/s\n", n("imap_sessions"), n("imap_commands_per_second"));
  std::cout << fmt::format("pop3      {} sessions, {} commands/s\n", n("pop3_sessions"), n("pop3_commands_per_second"));
  std::cout << fmt::format("sieve     {} sessions, {} commands/s\n", n("sieve_sessions"),
                           n("sieve_commands_per_second"));
  std::cout << fmt::format("store     {} deliveries/s, {} appends/s, {} object errors/s\n", n("deliveries_per_second"),
                           n("appends_per_second"), n("object_errors_per_second"));
  std::cout << fmt::format(
      "queue     {} held, {} due, {} sending, oldest due {} s; {} sent/s, {} deferred/s, {} failed/s\n",
      n("queue_held"), n("queue_due"), n("queue_sending"), n("queue_oldest_due_seconds"),
      n("queue_delivered_per_second"), n("queue_deferred_per_second"), n("queue_failed_per_second"));
  std::cout << fmt::format("database  {} statements/s, {} errors/s, {} waiting, {} s waited/s\n",
                           n("statements_per_second"), n("statement_errors_per_second"), n("pool_waiting"),
                           n("pool_wait_seconds_per_second"));
  std::cout << fmt::format("errors    {} calls/s, {} log lines/s\n\n", n("rpc_errors_per_second"),
                           n("log_errors_per_second"));
  Json rows = frame["replicas"];
  for (auto& row : rows) {
    std::int64_t sessions = 0;
    double commands = 0;
    for (const char* protocol : {"smtp", "imap", "pop3", "sieve"}) {
      sessions += row.value(std::string(protocol) + "_sessions", std::int64_t{0});
      commands += row.value(std::string(protocol) + "_commands_per_second", 0.0);
    }
    row["sessions"] = sessions;
    row["commands"] = fmt::format("{:.1f}", commands);
    for (const char* key : {"rpc_calls_per_second", "rpc_errors_per_second", "statements_per_second"})
      row[std::string(key) + "_text"] = number(row, key);
  }
  print_rows(Format::kTable, rows,
             {{"SERVICE", "service"},
              {"ADDRESS", "address"},
              {"HOST", "host"},
              {"STATE", "state"},
              {"SESSIONS", "sessions"},
              {"COMMANDS/s", "commands"},
              {"CALLS/s", "rpc_calls_per_second_text"},
              {"ERRORS/s", "rpc_errors_per_second_text"},
              {"STATEMENTS/s", "statements_per_second_text"},
              {"WAITING", "pool_waiting"}});
}

void run_top(Client& client, const Session& session, const TopOptions& options) {
  const v1::GetServicesRequest request;
  const bool terminal = !options.once && isatty(STDOUT_FILENO) != 0 && session.format == Format::kTable;
  auto before = client.call(&AdminClient::get_services, request);
  for (;;) {
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval));
    auto now = client.call(&AdminClient::get_services, request);
    const Json frame = rates(before, now);
    if (terminal) std::cout << "\x1b[H\x1b[2J";
    if (session.format == Format::kTable)
      print_frame(frame);
    else
      print_one(session.format, frame);
    std::cout << std::flush;
    if (options.once || !std::cout) return;
    before = std::move(now);
  }
}

}  // namespace

void add_top_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<TopOptions>();
  auto* top = add_command(&app, session, "top", "Live figures: sessions, deliveries, queue, pools, errors",
                          [&session, options](Client& client) { run_top(client, session, *options); });
  top->add_option("--interval", options->interval, "seconds between two looks")->check(CLI::Range(0.2, 3600.0));
  top->add_flag("--once", options->once, "print one frame and end, for scripts");
}

}  // namespace merpati::ctl
