#include "ctl/commands.hpp"

namespace merpati::ctl {
namespace {

/// The conditions that are not ok, in one cell.
std::string complaints(const Json& status) {
  std::string text;
  for (const char* list : {"gates", "dependencies"}) {
    for (const auto& condition : status.value(list, Json::array())) {
      if (condition["ok"].get<bool>()) continue;
      text += (text.empty() ? "" : "; ") + condition["name"].get<std::string>() + ": " +
              condition["reason"].get<std::string>();
    }
  }
  return text;
}

std::string state_of(const Json& service) {
  if (!service["reachable"].get<bool>()) return "unreachable";
  const auto& status = service["status"];
  if (status["draining"].get<bool>()) return "draining";
  return status["ready"].get<bool>() ? "ready" : "not ready";
}

}  // namespace

void add_service_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "service", "The platform's processes");
  add_command(group, session, "status", "How every service does; exit code 6 when one cannot be reached",
              [&session](Client& client) {
                const auto response = client.call(&AdminClient::get_services, v1::GetServicesRequest());
                Json rows = rows_of(response.services());
                bool reachable = true;
                for (auto& row : rows) {
                  reachable = reachable && row["reachable"].get<bool>();
                  if (session.format != Format::kTable) continue;
                  row["state"] = state_of(row);
                  row["detail"] =
                      row["reachable"].get<bool>() ? complaints(row["status"]) : row["error"].get<std::string>();
                }
                print_rows(session.format, rows,
                           {{"SERVICE", "service"},
                            {"STATE", "state"},
                            {"VERSION", "status/version"},
                            {"HOST", "status/host"},
                            {"SINCE (UTC)", "status/started_at", Column::Kind::kTime},
                            {"DETAIL", "detail"}});
                if (!reachable)
                  throw Failure{Error(ErrorCode::kUnavailable, "a service cannot be reached"), "its log says why"};
              });
}

}  // namespace merpati::ctl
