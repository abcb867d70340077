// DirectoryStore: objects as files of one directory, which may be shared by processes of one machine.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "merpati/objects/object_store.hpp"

namespace merpati::objects {

struct DirectoryOptions {
  std::filesystem::path root;                          ///< created (with its parents) when missing
  std::size_t waiting_limit = 1024;                    ///< operations under way or waiting for a thread
  std::uint64_t answer_limit = 64ULL * 1024 * 1024;    ///< octets of one get()
  std::chrono::milliseconds operation_timeout{60000};  ///< of the wait for a thread; a call's deadline may be earlier
  Observer observer;
};

/// Layout: root/objects/HHH/KEY, HHH the first three hexadecimal digits of the key's SHA-256, "/" of the key as "+";
/// root/tmp/UUID while being written. Blocking calls run on `pool`, which must outlive the store.
class DirectoryStore {
 public:
  /// Blocks (start-up only). kFailedPrecondition when the directory cannot be made or written.
  static Result<std::shared_ptr<ObjectStore>> open(DirectoryOptions options, asio::thread_pool& pool);
};

}  // namespace merpati::objects
