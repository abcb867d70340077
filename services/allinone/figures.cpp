#include "allinone/figures.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

namespace merpati::allinone {
namespace {

using Labels = runtime::Metrics::Labels;
using Sample = runtime::Sample;

class Samples {
 public:
  explicit Samples(const std::vector<Sample>& samples) {
    for (const auto& sample : samples) by_name_[sample.name].push_back(&sample);
  }

  bool has(std::string_view name) const { return by_name_.contains(name); }
  /// Of all that have these labels.
  double sum(std::string_view name, const Labels& wanted = {}) const {
    double total = 0;
    for (const Sample* sample : of(name)) {
      const bool fits = std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
        const auto found = sample->labels.find(label.first);
        return found != sample->labels.end() && found->second == label.second;
      });
      if (fits) total += sample->value;
    }
    return total;
  }
  std::int64_t count(std::string_view name, const Labels& wanted = {}) const {
    return static_cast<std::int64_t>(sum(name, wanted));
  }
  std::set<std::string> values_of(std::string_view name, const std::string& label) const {
    std::set<std::string> out;
    for (const Sample* sample : of(name)) {
      if (const auto found = sample->labels.find(label); found != sample->labels.end()) out.insert(found->second);
    }
    return out;
  }

 private:
  const std::vector<const Sample*>& of(std::string_view name) const {
    static const std::vector<const Sample*> kNone;
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? kNone : found->second;
  }
  std::unordered_map<std::string_view, std::vector<const Sample*>> by_name_;
};

void fill_edge(const Samples& samples, const std::string& protocol, const Labels& failed,
               runtime::v1::GetStatusResponse& status) {
  const std::string prefix = "merpati_" + protocol;
  if (!samples.has(prefix + "_sessions")) return;
  auto& edge = *status.add_edges();
  edge.set_protocol(protocol);
  edge.set_sessions(samples.count(prefix + "_sessions"));
  edge.set_commands_total(samples.count(prefix + "_commands_total"));
  std::int64_t wrong = 0;
  for (const auto& [label, value] : failed) wrong += samples.count(prefix + "_commands_total", {{label, value}});
  edge.set_failed_commands_total(wrong);
  edge.set_messages_total(samples.count(prefix + "_messages_total", {{"outcome", "accepted"}}));
  status.set_connections(status.connections() + edge.sessions());
}

void fill_edges(const Samples& samples, runtime::v1::GetStatusResponse& status) {
  fill_edge(samples, "smtp", {{"class", "5xx"}}, status);
  fill_edge(samples, "imap", {{"result", "no"}}, status);
  fill_edge(samples, "pop3", {{"outcome", "err"}}, status);
  fill_edge(samples, "sieve", {{"outcome", "no"}}, status);
  for (auto& edge : *status.mutable_edges()) {
    if (edge.protocol() != "imap") continue;
    edge.set_failed_commands_total(edge.failed_commands_total() +
                                   samples.count("merpati_imap_commands_total", {{"result", "bad"}}));
  }
}

void fill_pools(const Samples& samples, runtime::v1::GetStatusResponse& status) {
  for (const auto& name : samples.values_of("merpati_pg_connections", "pool")) {
    const Labels pool{{"pool", name}};
    auto& out = *status.add_pools();
    out.set_name(name);
    out.set_connections(samples.count("merpati_pg_connections", pool));
    out.set_in_flight(samples.count("merpati_pg_in_flight_statements", pool));
    out.set_waiting(samples.count("merpati_pg_waiting_statements", pool));
    out.set_statements_total(samples.count("merpati_pg_statements_total", pool));
    out.set_failed_statements_total(samples.count("merpati_pg_failed_statements_total", pool));
    out.set_wait_seconds_total(samples.sum("merpati_pg_wait_seconds_sum", pool));
    out.set_available(samples.sum("merpati_pg_available", pool) > 0);
  }
}

void fill_queue(const Samples& samples, runtime::v1::GetStatusResponse& status) {
  if (!samples.has("merpati_queue_items")) return;
  auto& queue = *status.mutable_queue();
  queue.set_held(samples.count("merpati_queue_items", {{"state", "held"}}));
  queue.set_due(samples.count("merpati_queue_items", {{"state", "due"}}));
  queue.set_sending(samples.count("merpati_queue_items", {{"state", "sending"}}));
  queue.set_oldest_due_seconds(samples.sum("merpati_queue_oldest_due_seconds"));
  queue.set_delivered_total(samples.count("merpati_queue_attempts_total", {{"result", "delivered"}}));
  queue.set_deferred_total(samples.count("merpati_queue_attempts_total", {{"result", "deferred"}}));
  queue.set_failed_total(samples.count("merpati_queue_attempts_total", {{"result", "failed"}}));
  queue.set_bounces_total(samples.count("merpati_queue_bounces_total"));
}

void fill_store(const Samples& samples, runtime::v1::GetStatusResponse& status) {
  if (!samples.has("merpati_store_arrivals_total")) return;
  auto& store = *status.mutable_store();
  store.set_delivered_total(
      samples.count("merpati_store_arrivals_total", {{"kind", "delivery"}, {"result", "stored"}}));
  store.set_appended_total(samples.count("merpati_store_arrivals_total", {{"kind", "append"}, {"result", "stored"}}));
  store.set_object_errors_total(samples.count("merpati_store_object_errors_total"));
}

}  // namespace

void fill_figures(const std::vector<Sample>& all, runtime::v1::GetStatusResponse& status) {
  const Samples samples(all);
  fill_edges(samples, status);
  fill_pools(samples, status);
  fill_queue(samples, status);
  fill_store(samples, status);
  auto& rpc = *status.mutable_rpc();
  rpc.set_calls_total(samples.count("merpati_rpc_calls_total"));
  std::int64_t errors = 0;
  for (const char* code :
       {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "DATA_LOSS", "RESOURCE_EXHAUSTED"})
    errors += samples.count("merpati_rpc_calls_total", {{"code", code}});
  rpc.set_errors_total(errors);
  auto& log = *status.mutable_log();
  log.set_errors_total(samples.count("merpati_log_lines_total", {{"level", "error"}}));
  log.set_warnings_total(samples.count("merpati_log_lines_total", {{"level", "warning"}}));
}

}  // namespace merpati::allinone
