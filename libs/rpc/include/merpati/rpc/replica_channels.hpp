// Every replica behind a channel, one by one: for who asks each how it is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "merpati/rpc/channel.hpp"

namespace merpati::rpc {

struct ReplicaChannel {
  std::string address;  ///< "10.0.0.7:50051"
  std::shared_ptr<Channel> channel;
};

/// Implemented by channels that balance over replicas.
class ReplicaSource {
 public:
  virtual ~ReplicaSource() = default;
  /// Those known now, each with a channel that reaches only it, by unary calls that are not repeated.
  virtual std::vector<ReplicaChannel> replicas() = 0;
};

/// Empty when the channel itself reaches one process, or when none is known.
inline std::vector<ReplicaChannel> replicas_of(Channel& channel) {
  auto* source = dynamic_cast<ReplicaSource*>(&channel);
  return source == nullptr ? std::vector<ReplicaChannel>() : source->replicas();
}

}  // namespace merpati::rpc
