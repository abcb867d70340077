// S3Transport: one signed HTTP request over libcurl, blocking. Shared by the threads of a store; thread safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "merpati/objects/s3_store.hpp"
#include "s3_exchange.hpp"

namespace merpati::objects {

struct S3Request {
  std::string operation;  // for texts: "PutObject"
  std::string method;
  std::string key;  // empty: the bucket itself
  std::vector<std::pair<std::string, std::string>> query;
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<const std::string> body;  // null: none
};

struct S3Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

/// An answer to one attempt: what came, or why nothing did and whether another attempt may help.
struct S3Attempt {
  S3Attempt() = default;
  // Not an aggregate, and not made of one value: Result<S3Attempt> must tell an Error of its own from one inside.
  S3Attempt(Result<S3Response> outcome, bool again) : result(std::move(outcome)), retry(again) {}
  Result<S3Response> result;
  bool retry = false;
};

class S3Transport {
 public:
  /// kInvalidArgument when the options cannot be used.
  static Result<std::shared_ptr<S3Transport>> make(S3Options options);

  /// A response only for 2xx; other answers are errors by README.md's table. Never later than `deadline` by much, and
  /// kUnavailable within a second where the endpoint says nothing at all.
  S3Attempt perform(const S3Request& request, Deadline deadline);
  /// Lets requests under way end soon, with kCancelled.
  void close() { closing_ = true; }
  const S3Options& options() const { return options_; }

 private:
  explicit S3Transport(S3Options options) : options_(std::move(options)) {}
  std::unique_ptr<CurlSession> take_session();
  void give_back(std::unique_ptr<CurlSession> session);

  S3Options options_;
  std::string base_;  // "https://host:port", as connected to
  std::string host_;  // of the Host header
  std::string root_;  // "/bucket/" or "/"
  std::atomic<bool> closing_ = false;
  std::mutex mutex_;
  std::vector<std::unique_ptr<CurlSession>> idle_;  // each keeps its connection open
  S3Pulse pulse_;
};

}  // namespace merpati::objects
