#include "store/probe.hpp"

#include <map>
#include <string>

namespace merpati::store {

const char* ArrivalResult::name_of(Status status) {
  constexpr const char* kNames[] = {"",        "stored",     "duplicate", "over_quota", "refused",
                                    "no_body", "no_mailbox", "withheld",  "given_up"};
  return kNames[static_cast<std::size_t>(status)];
}

Probe::Probe(runtime::Metrics& metrics) {
  constexpr const char* kKinds[] = {"delivery", "append"};
  for (std::size_t kind = 0; kind < 2; ++kind) {
    for (std::size_t result = 1; result < kResults; ++result) {
      arrivals_[kind][result] = metrics.counter(
          "merpati_store_arrivals_total", "Copies on their way into a mailbox",
          {{"kind", kKinds[kind]}, {"result", ArrivalResult::name_of(static_cast<ArrivalResult::Status>(result))}});
    }
  }
  batch_ =
      metrics.histogram("merpati_store_commit_copies", "Copies that shared one commit", {1, 2, 4, 8, 16, 32, 64, 128});
}

objects::Observer object_observer(runtime::Metrics& metrics) {
  struct One {
    runtime::Histogram seconds;
    runtime::Counter errors;
  };
  std::map<std::string, One, std::less<>> all;
  for (const char* operation : {"put", "get", "head", "remove", "list", "part"}) {
    const runtime::Metrics::Labels labels{{"operation", operation}};
    all[operation] = {
        metrics.histogram("merpati_store_object_seconds", "Operations on the object store",
                          runtime::Metrics::latency_bounds(), labels),
        metrics.counter("merpati_store_object_errors_total", "Failed operations on the object store", labels)};
  }
  return [all = std::move(all)](std::string_view operation, std::optional<ErrorCode> error,
                                std::chrono::nanoseconds took) {
    const auto found = all.find(operation);
    if (found == all.end()) return;
    found->second.seconds.observe(std::chrono::duration<double>(took).count());
    if (error && *error != ErrorCode::kNotFound) found->second.errors.add();
  };
}

}  // namespace merpati::store
