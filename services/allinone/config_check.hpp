// What in a configuration cannot work, said before anything starts.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/config/v1/config.pb.h"

namespace merpati::allinone {

/// One sentence for each fault that would keep `services` from running; "network" when each is a process of its own.
std::vector<std::string> find_faults(const config::v1::Config& config, std::span<const std::string_view> services,
                                     bool network);

/// Where a service serves gRPC; for an unknown name admin's.
const config::v1::GrpcServer& grpc_of(const config::v1::Config& config, std::string_view service);

/// Fills in what depends on the machine: host names.
void complete(config::v1::Config& config);

}  // namespace merpati::allinone
