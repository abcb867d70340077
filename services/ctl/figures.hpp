// Figures: what replicas told of themselves, as people and scripts read it, and rates between two answers.
#pragma once

#include <string>

#include "ctl/output.hpp"
#include "merpati/admin/v1/admin.pb.h"

namespace merpati::ctl {

/// "ready", "not ready", "draining" or "unreachable".
std::string state_of(const admin::v1::ServiceStatus& service);
/// By the replica's own clock.
std::int64_t uptime_seconds(const runtime::v1::GetStatusResponse& status);
/// "42s", "3m10s", "2h05m", "12d03h".
std::string duration_text(double seconds);

/// {"interval_seconds", "totals": {...}, "replicas": [...]}: gauges as in `now`, rates per second since `before`. A
/// replica that is new or was restarted meanwhile counts from its start. Every replica of the queue sees the whole
/// queue, so its depth is the largest and not the sum.
Json rates(const admin::v1::GetServicesResponse& before, const admin::v1::GetServicesResponse& now);

}  // namespace merpati::ctl
