// A queued message's octets: from the queue's own table, or streamed from the store.
#pragma once

#include <memory>
#include <string>

#include "merpati/rpc/channel.hpp"
#include "queue/remote_session.hpp"
#include "queue/repository.hpp"

namespace merpati::queue {

/// The header prefix, then the body. Several readers may read one content, one after the other.
class Content {
 public:
  virtual ~Content() = default;
  /// Starts at the beginning. The content outlives the source.
  virtual Task<ContentSource> open() = 0;
  /// At most `max` octets of the beginning: for a bounce.
  virtual Task<std::string> beginning(std::size_t max) = 0;
  /// Non-ASCII octets are in it. Unknown counts as yes.
  virtual bool eight_bit() const = 0;
  /// The body alone, when it is in memory.
  virtual const std::string* inline_body() const = 0;
};

/// `store` may be null: messages over 64 KiB then fail to load.
Task<std::shared_ptr<Content>> load_content(Repository& repository, std::shared_ptr<rpc::Channel> store,
                                            std::shared_ptr<const Message> message, Deadline deadline);

}  // namespace merpati::queue
