#include "ctl/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace merpati::ctl {
namespace {

using admin::v1::ServiceStatus;
using runtime::v1::GetStatusResponse;

/// One replica's totals by name; each becomes a rate.
std::map<std::string, double> totals_of(const GetStatusResponse& status) {
  std::map<std::string, double> out;
  for (const auto& edge : status.edges()) {
    const auto& name = edge.protocol();
    out[name + "_commands"] = static_cast<double>(edge.commands_total());
    out[name + "_failed_commands"] = static_cast<double>(edge.failed_commands_total());
    if (name == "smtp") out["messages_accepted"] = static_cast<double>(edge.messages_total());
  }
  for (const auto& pool : status.pools()) {
    out["statements"] += static_cast<double>(pool.statements_total());
    out["statement_errors"] += static_cast<double>(pool.failed_statements_total());
    out["pool_wait_seconds"] += pool.wait_seconds_total();
  }
  if (status.has_queue()) {
    out["queue_delivered"] = static_cast<double>(status.queue().delivered_total());
    out["queue_deferred"] = static_cast<double>(status.queue().deferred_total());
    out["queue_failed"] = static_cast<double>(status.queue().failed_total());
  }
  if (status.has_store()) {
    out["deliveries"] = static_cast<double>(status.store().delivered_total());
    out["appends"] = static_cast<double>(status.store().appended_total());
    out["object_errors"] = static_cast<double>(status.store().object_errors_total());
  }
  out["rpc_calls"] = static_cast<double>(status.rpc().calls_total());
  out["rpc_errors"] = static_cast<double>(status.rpc().errors_total());
  out["log_errors"] = static_cast<double>(status.log().errors_total());
  return out;
}

/// What is so at this moment.
std::map<std::string, std::int64_t> gauges_of(const GetStatusResponse& status) {
  std::map<std::string, std::int64_t> out;
  for (const auto& edge : status.edges()) out[edge.protocol() + "_sessions"] = edge.sessions();
  for (const auto& pool : status.pools()) {
    out["pool_in_flight"] += pool.in_flight();
    out["pool_waiting"] += pool.waiting();
  }
  return out;
}

std::string key_of(const ServiceStatus& service) {
  return service.service() + " " + service.address() + " " + std::to_string(service.status().started_at());
}

double rounded(double value) { return std::round(value * 100) / 100; }

struct Sums {
  std::map<std::string, double> rates;
  std::map<std::string, std::int64_t> gauges;
  std::int64_t held = 0, due = 0, sending = 0;
  double oldest = 0;
  bool queue = false;
};

Json replica(const ServiceStatus& service, const ServiceStatus* earlier, double fallback_seconds, Sums& sums) {
  const auto& status = service.status();
  double seconds = fallback_seconds;
  std::map<std::string, double> base;
  if (earlier != nullptr) {
    base = totals_of(earlier->status());
    seconds = static_cast<double>(status.at_ms() - earlier->status().at_ms()) / 1000;
  }
  if (seconds <= 0) seconds = std::max(fallback_seconds, 0.001);
  Json row = {{"service", service.service()},
              {"address", service.address()},
              {"host", status.host()},
              {"state", state_of(service)}};
  for (const auto& [name, value] : gauges_of(status)) {
    row[name] = value;
    sums.gauges[name] += value;
  }
  for (const auto& [name, total] : totals_of(status)) {
    const double rate = std::max(0.0, total - base[name]) / seconds;
    row[name + "_per_second"] = rounded(rate);
    sums.rates[name] += rate;
  }
  if (status.has_queue()) {
    const auto& queue = status.queue();
    sums.queue = true;
    sums.held = std::max(sums.held, queue.held());
    sums.due = std::max(sums.due, queue.due());
    sums.sending = std::max(sums.sending, queue.sending());
    sums.oldest = std::max(sums.oldest, queue.oldest_due_seconds());
  }
  return row;
}

}  // namespace

std::string state_of(const ServiceStatus& service) {
  if (!service.reachable()) return "unreachable";
  if (service.status().draining()) return "draining";
  return service.status().ready() ? "ready" : "not ready";
}

std::int64_t uptime_seconds(const GetStatusResponse& status) {
  if (status.at_ms() == 0) return 0;
  return std::max<std::int64_t>(0, status.at_ms() / 1000 - status.started_at());
}

std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(seconds);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

Json rates(const admin::v1::GetServicesResponse& before, const admin::v1::GetServicesResponse& now) {
  std::map<std::string, const ServiceStatus*> earlier;
  for (const auto& service : before.services()) {
    if (service.reachable()) earlier[key_of(service)] = &service;
  }
  double interval = 0;
  for (const auto& service : now.services()) {
    const auto found = earlier.find(key_of(service));
    if (service.reachable() && found != earlier.end()) {
      interval =
          std::max(interval, static_cast<double>(service.status().at_ms() - found->second->status().at_ms()) / 1000);
    }
  }
  Sums sums;
  std::int64_t ready = 0;
  Json replicas = Json::array();
  for (const auto& service : now.services()) {
    if (!service.reachable()) {
      replicas.push_back(
          {{"service", service.service()}, {"address", service.address()}, {"host", ""}, {"state", "unreachable"}});
      continue;
    }
    ready += service.status().ready() ? 1 : 0;
    const auto found = earlier.find(key_of(service));
    replicas.push_back(replica(service, found == earlier.end() ? nullptr : found->second, interval, sums));
  }
  Json totals = {{"replicas", now.services_size()}, {"ready", ready}};
  for (const auto& [name, value] : sums.gauges) totals[name] = value;
  for (const auto& [name, value] : sums.rates) totals[name + "_per_second"] = rounded(value);
  if (sums.queue) {
    totals["queue_held"] = sums.held;
    totals["queue_due"] = sums.due;
    totals["queue_sending"] = sums.sending;
    totals["queue_oldest_due_seconds"] = rounded(sums.oldest);
  }
  return {{"interval_seconds", rounded(interval)}, {"totals", std::move(totals)}, {"replicas", std::move(replicas)}};
}

}  // namespace merpati::ctl
