// merpatictl status: every replica that can be found, and how it does.
#include <fmt/format.h>

#include "ctl/commands.hpp"
#include "ctl/figures.hpp"

namespace merpati::ctl {
namespace {

/// What an operator should look at, in one cell.
std::string detail_of(const v1::ServiceStatus& service) {
  if (!service.reachable()) return service.error();
  std::string text;
  const auto add = [&](const auto& conditions) {
    for (const auto& condition : conditions) {
      if (condition.ok()) continue;
      text += (text.empty() ? "" : "; ") + condition.name();
      if (!condition.reason().empty()) text += ": " + condition.reason();
    }
  };
  add(service.status().gates());
  add(service.status().dependencies());
  for (const auto& pool : service.status().pools()) {
    if (!pool.available()) text += (text.empty() ? "" : "; ") + pool.name() + ": PostgreSQL cannot be reached";
  }
  return text;
}

std::string pools_of(const runtime::v1::GetStatusResponse& status) {
  if (status.pools().empty()) return "-";
  std::int64_t connections = 0, in_flight = 0, waiting = 0;
  for (const auto& pool : status.pools()) {
    connections += pool.connections();
    in_flight += pool.in_flight();
    waiting += pool.waiting();
  }
  return fmt::format("{}/{}/{}", connections, in_flight, waiting);
}

std::string queue_of(const runtime::v1::GetStatusResponse& status) {
  if (!status.has_queue()) return "-";
  const auto& queue = status.queue();
  std::string text = fmt::format("{}/{}/{}", queue.held(), queue.due(), queue.sending());
  if (queue.oldest_due_seconds() >= 1) text += " oldest " + duration_text(queue.oldest_due_seconds());
  return text;
}

Json row_of(const v1::ServiceStatus& service, bool for_people) {
  Json row = to_json(service);
  row["state"] = state_of(service);
  row["uptime_seconds"] = uptime_seconds(service.status());
  if (!for_people) return row;
  const bool there = service.reachable();
  row["uptime"] = there ? duration_text(static_cast<double>(uptime_seconds(service.status()))) : "-";
  row["sessions"] = there && !service.status().edges().empty() ? std::to_string(service.status().connections()) : "-";
  row["pools"] = pools_of(service.status());
  row["queue"] = queue_of(service.status());
  row["detail"] = detail_of(service);
  return row;
}

}  // namespace

void add_status_command(CLI::App& app, Session& session) {
  const auto action = [&session](Client& client) {
    const auto response = client.call(&AdminClient::get_services, v1::GetServicesRequest());
    Json rows = Json::array();
    bool reachable = true;
    for (const auto& service : response.services()) {
      reachable = reachable && service.reachable();
      rows.push_back(row_of(service, session.format == Format::kTable));
    }
    print_rows(session.format, rows,
               {{"SERVICE", "service"},
                {"ADDRESS", "address"},
                {"STATE", "state"},
                {"VERSION", "status/version"},
                {"HOST", "status/host"},
                {"UPTIME", "uptime"},
                {"SESSIONS", "sessions"},
                {"PG OPEN/BUSY/WAIT", "pools"},
                {"QUEUE HELD/DUE/SENDING", "queue"},
                {"DETAIL", "detail"}});
    if (!reachable) throw Failure{Error(ErrorCode::kUnavailable, "a replica cannot be reached"), "its log says why"};
  };
  add_command(&app, session, "status", "Every replica: version, readiness, pools, queue; exit code 6 when one is away",
              action);
}

}  // namespace merpati::ctl
