// Outbound TCP connections.
#pragma once

#include "merpati/net/stream.hpp"

namespace merpati::net {

/// Connects to one address, on the caller's executor. kUnavailable when refused or unreachable.
Task<Stream> connect(Endpoint to, Deadline deadline);

}  // namespace merpati::net
