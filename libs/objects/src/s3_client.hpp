// S3Client: the S3 operations as tasks: threads, retries with jitter, and what the answers' XML says. Owned by S3Store.
#pragma once

#include "lane.hpp"
#include "s3_transport.hpp"

namespace merpati::objects {

class S3Client {
 public:
  explicit S3Client(std::shared_ptr<S3Transport> transport);
  ~S3Client();

  const S3Options& options() const { return transport_->options(); }
  Task<S3Response> call(S3Request request, Deadline deadline);

  // Multipart uploads. `key` has the prefix already.
  Task<std::string> start_upload(std::string key, Deadline deadline);
  /// The part's ETag. Parts count from 1.
  Task<std::string> upload_part(std::string key, std::string upload, int number, std::string bytes, Deadline deadline);
  Task<void> complete_upload(std::string key, std::string upload, std::vector<std::string> tags, Deadline deadline);
  Task<void> abort_upload(std::string key, std::string upload, Deadline deadline);
  /// The same without waiting and without telling whether it worked; remove_abandoned() finds what is left.
  void abort_upload_later(std::string key, std::string upload);

 private:
  std::shared_ptr<S3Transport> transport_;
  asio::thread_pool pool_;
  Lane lane_;
};

/// "2009-10-12T17:50:30.000Z"; the epoch when it is something else.
WallTime parse_iso_time(std::string_view text);

}  // namespace merpati::objects
