#include "ctl/figures.hpp"

#include <gtest/gtest.h>

namespace merpati::ctl {
namespace {

admin::v1::ServiceStatus* add(admin::v1::GetServicesResponse& response, const std::string& service,
                              const std::string& address, std::int64_t started_at, std::int64_t at_ms) {
  auto* out = response.add_services();
  out->set_service(service);
  out->set_address(address);
  out->set_reachable(true);
  out->mutable_status()->set_ready(true);
  out->mutable_status()->set_started_at(started_at);
  out->mutable_status()->set_at_ms(at_ms);
  return out;
}

void set_smtp(admin::v1::ServiceStatus& service, std::int64_t sessions, std::int64_t commands) {
  auto& edge = *service.mutable_status()->add_edges();
  edge.set_protocol("smtp");
  edge.set_sessions(sessions);
  edge.set_commands_total(commands);
}

TEST(Figures, RatesAreDifferencesOverTheReplicasOwnTime) {
  admin::v1::GetServicesResponse before, now;
  set_smtp(*add(before, "smtp", "a:1", 100, 200'000), 1, 1000);
  set_smtp(*add(before, "smtp", "b:1", 100, 900'000), 1, 50);
  set_smtp(*add(now, "smtp", "a:1", 100, 202'000), 3, 1010);
  set_smtp(*add(now, "smtp", "b:1", 100, 904'000), 4, 90);
  const Json out = rates(before, now);
  EXPECT_EQ(out["replicas"][0]["smtp_commands_per_second"], 5.0);
  EXPECT_EQ(out["replicas"][1]["smtp_commands_per_second"], 10.0) << "by b's clock four seconds have passed";
  EXPECT_EQ(out["totals"]["smtp_commands_per_second"], 15.0);
  EXPECT_EQ(out["totals"]["smtp_sessions"], 7);
}

TEST(Figures, ARestartedReplicaCountsFromItsStart) {
  admin::v1::GetServicesResponse before, now;
  set_smtp(*add(before, "smtp", "a:1", 100, 200'000), 1, 5000);
  set_smtp(*add(before, "smtp", "b:1", 100, 200'000), 1, 0);
  set_smtp(*add(now, "smtp", "a:1", 201, 202'000), 0, 8);
  set_smtp(*add(now, "smtp", "b:1", 100, 202'000), 0, 0);
  EXPECT_EQ(rates(before, now)["totals"]["smtp_commands_per_second"], 4.0) << "8 in two seconds, and nothing negative";
}

TEST(Figures, EveryReplicaSeesTheWholeQueue) {
  admin::v1::GetServicesResponse now;
  for (const int due : {10, 12}) {
    auto* service = add(now, "queue", "q" + std::to_string(due), 100, 200'000);
    service->mutable_status()->mutable_queue()->set_due(due);
    service->mutable_status()->mutable_queue()->set_oldest_due_seconds(due);
  }
  const Json totals = rates(now, now)["totals"];
  EXPECT_EQ(totals["queue_due"], 12);
  EXPECT_EQ(totals["queue_oldest_due_seconds"], 12.0);
}

TEST(Figures, WhoDoesNotAnswerIsShownAndNotCounted) {
  admin::v1::GetServicesResponse now;
  add(now, "store", "a:1", 100, 200'000);
  auto* away = now.add_services();
  away->set_service("store");
  away->set_address("b:1");
  const Json out = rates(now, now);
  EXPECT_EQ(out["totals"]["replicas"], 2);
  EXPECT_EQ(out["totals"]["ready"], 1);
  EXPECT_EQ(out["replicas"][1]["state"], "unreachable");
}

TEST(Figures, Durations) {
  EXPECT_EQ(duration_text(59.9), "59s");
  EXPECT_EQ(duration_text(190), "3m10s");
  EXPECT_EQ(duration_text(7500), "2h05m");
  EXPECT_EQ(duration_text(86400 * 12 + 3600 * 3), "12d03h");
}

}  // namespace
}  // namespace merpati::ctl
