// What gRPC needs once for the process: its log in our lines, and threads that outlive every channel.
#pragma once

namespace merpati::rpc {
/// Before the first channel or server; cheap to call again. Any thread.
void prepare_grpc();
}  // namespace merpati::rpc
