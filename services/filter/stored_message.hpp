// Messages over 64 KiB, which are read from the store.
#pragma once

#include <memory>
#include <string>

#include "merpati/base/spool.hpp"
#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::filter {

/// Appends a blob of the call's cell to `into`. kInvalidArgument when that becomes larger than `most` octets.
Task<void> read_blob(std::shared_ptr<rpc::Channel> store, std::string blob_id, rpc::CallOptions call,
                     std::uint64_t most, Spool& into);

}  // namespace merpati::filter
