// gRPC's own log, which would go to standard error, as lines of ours.
#pragma once

namespace merpati::rpc {
/// Once for the process; cheap to call again.
void route_grpc_log();
}  // namespace merpati::rpc
