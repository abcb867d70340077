// LateChannel: a channel to a service that is made later, where two services call each other.
#pragma once

#include <memory>

#include "merpati/rpc/replica_channels.hpp"

namespace merpati::allinone {

/// Set the target before the first call.
class LateChannel : public rpc::Channel, public rpc::ReplicaSource {
 public:
  void set(std::shared_ptr<rpc::Channel> target) { target_ = std::move(target); }

  Task<void> unary(const rpc::Method& method, const rpc::MessageLite& request, rpc::MessageLite& response,
                   const rpc::CallOptions& options) override {
    if (!target_) return absent();
    return target_->unary(method, request, response, options);
  }
  Task<std::shared_ptr<rpc::Stream>> open(const rpc::Method& method, const rpc::MessageLite* only_request,
                                          const rpc::CallOptions& options) override {
    if (!target_) return absent_stream();
    return target_->open(method, only_request, options);
  }

  std::vector<rpc::ReplicaChannel> replicas() override {
    return target_ ? rpc::replicas_of(*target_) : std::vector<rpc::ReplicaChannel>();
  }

 private:
  static Error error() { return {ErrorCode::kUnavailable, "the service is not part of this process"}; }
  static Task<void> absent() { co_return error(); }
  static Task<std::shared_ptr<rpc::Stream>> absent_stream() { co_return error(); }

  std::shared_ptr<rpc::Channel> target_;
};

}  // namespace merpati::allinone
