// A large body from one cell to another.
#pragma once

#include <string>

#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::store::v1 {
class StoreClient;
}

namespace merpati::cells {

/// Reads the blob `blob_id` in the cell `from` and uploads it in `to`; its id there. The upload has the usual lease.
/// `options` gives deadline and trace, for both sides. Errors: those of ReadBlob and PutBlob.
Task<std::string> copy_blob(store::v1::StoreClient store, std::string blob_id, std::string from, std::string to,
                            rpc::CallOptions options);

}  // namespace merpati::cells
