// S3Store: objects in one bucket of an S3 endpoint (AWS, Ceph, MinIO, OpenStack Swift's s3api, ...).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "merpati/objects/object_store.hpp"
#include "merpati/objects/sigv4.hpp"

namespace merpati::objects {

struct S3Options {
  std::string endpoint;  ///< "https://host[:port]", nothing behind it
  std::string region = "us-east-1";
  std::string bucket;      ///< must exist
  std::string key_prefix;  ///< put before every key, such as "mail/"; empty or ending with "/"
  bool path_style = true;  ///< https://host/bucket/key; false: https://bucket.host/key
  std::string ca_file;     ///< PEM authorities to trust; empty: the system's
  /// Asked before each attempt, on any thread, so that keys can be rotated while running.
  std::function<Result<Credentials>()> credentials;
  std::size_t connections = 16;                        ///< requests on the wire at once, each with a thread
  std::size_t waiting_limit = 1024;                    ///< operations on the wire or waiting
  std::uint64_t part_bytes = 8ULL * 1024 * 1024;       ///< of a multipart upload; endpoints want 5 MiB or more
  std::uint64_t answer_limit = 64ULL * 1024 * 1024;    ///< octets of one get()
  std::chrono::milliseconds operation_timeout{60000};  ///< of one call with its retries; its deadline may be earlier
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds attempt_timeout{30000};  ///< of one request; a call's deadline may be earlier
  int attempts = 4;                                  ///< per call: after 5xx, SlowDown and lost connections
  std::chrono::milliseconds retry_wait{100};         ///< doubles each time, with jitter
  /// After the second attempt of a call none begins later than this: somebody waits for its answer.
  std::chrono::milliseconds retry_within{750};
  Observer observer;
};

class S3Store {
 public:
  /// Does not touch the network. kInvalidArgument names what is wrong with the options.
  static Result<std::shared_ptr<ObjectStore>> open(S3Options options);
};

}  // namespace merpati::objects
