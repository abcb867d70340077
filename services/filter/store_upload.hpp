// Bodies of messages that are made here, for calls of store and queue.
#pragma once

#include <memory>
#include <string>

#include "merpati/rpc/channel.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {

/// The blob's id; the store keeps it for an hour, unless somebody else wants it. A token in `call` is its account's.
Task<std::string> upload(store::v1::StoreClient store, std::string octets, rpc::CallOptions call);
/// Within the call up to 64 KiB, else uploaded.
Task<store::v1::Body> body_of(std::shared_ptr<rpc::Channel> store, std::string octets, rpc::CallOptions call);

}  // namespace merpati::filter
