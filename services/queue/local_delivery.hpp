// Items whose recipient is one of ours: bounces above all, and aliases that point back here.
#pragma once

#include <memory>
#include <optional>

#include "merpati/rpc/channel.hpp"
#include "queue/content.hpp"
#include "queue/item.hpp"
#include "queue/repository.hpp"

namespace merpati::queue {

class LocalDelivery {
 public:
  /// Null channels: every recipient is remote.
  LocalDelivery(std::shared_ptr<rpc::Channel> auth, std::shared_ptr<rpc::Channel> store, Repository& repository)
      : auth_(std::move(auth)), store_(std::move(store)), repository_(repository) {}

  /// What became of the item, or nothing when its recipient is not ours. Error only when cancelled.
  Task<std::optional<Outcome>> deliver(const LeasedItem& item, Content& content);

 private:
  Task<Outcome> store(const LeasedItem& item, Content& content,
                      std::vector<std::pair<std::string, std::string>> grants);
  /// An alias of ours points outside: the message goes on from here, once.
  Task<Outcome> forward(const LeasedItem& item, Content& content, std::vector<std::string> addresses);

  std::shared_ptr<rpc::Channel> auth_;
  std::shared_ptr<rpc::Channel> store_;
  Repository& repository_;
};

}  // namespace merpati::queue
