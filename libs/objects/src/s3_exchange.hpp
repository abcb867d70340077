// One request of libcurl, watched: an endpoint that says nothing is asked by a second connection whether it is there,
// so that one that is slow is waited for and one that is gone is not.
#pragma once

#include <curl/curl.h>

#include <atomic>
#include <memory>
#include <string>

#include "s3_pulse.hpp"

namespace merpati::objects {

/// A handle with its connections, which stay open for the next request. For one thread at a time.
class CurlSession {
 public:
  CurlSession() : multi_(curl_multi_init()), easy_(curl_easy_init()) {}
  ~CurlSession() {
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
  }
  CurlSession(const CurlSession&) = delete;
  CurlSession& operator=(const CurlSession&) = delete;

  bool usable() const { return multi_ != nullptr && easy_ != nullptr; }
  CURL* easy() { return easy_; }
  CURLM* multi() { return multi_; }

 private:
  CURLM* multi_;
  CURL* easy_;
};

struct Exchange {
  CurlSession& session;
  S3Pulse& pulse;
  const std::string& base;  ///< "https://host:port" of the endpoint
  const std::string& ca_file;
  const std::atomic<bool>& closing;  ///< ends it with CURLE_ABORTED_BY_CALLBACK
};

/// Runs what is set up in the session's easy handle to its end. CURLE_GOT_NOTHING with `silent` when the endpoint is
/// not there. Blocks.
struct ExchangeResult {
  CURLcode code = CURLE_OK;
  bool silent = false;
};
ExchangeResult run_exchange(const Exchange& exchange);

}  // namespace merpati::objects
