// Bodies that do not fit into a call, on their way into the store.
#pragma once

#include <string>

#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {

/// The blob's id; the store keeps it for an hour, unless somebody else wants it.
Task<std::string> upload(store::v1::StoreClient store, std::string octets, rpc::CallOptions call);

}  // namespace merpati::filter
