// Items whose recipient is one of ours: bounces, what scripts redirect or send to addresses here, aliases that lead
// here or on.
#pragma once

#include <memory>
#include <optional>

#include "merpati/rpc/channel.hpp"
#include "merpati/store/v1/store.pb.h"
#include "queue/content.hpp"
#include "queue/item.hpp"
#include "queue/local_scripts.hpp"
#include "queue/repository.hpp"

namespace merpati::queue {

class LocalDelivery {
 public:
  /// Null channels: every recipient is remote; without a filter nobody has scripts, and what an alias leads on keeps
  /// its sender. Blobs of what leaves are kept for `keep_blobs`.
  LocalDelivery(std::shared_ptr<rpc::Channel> auth, std::shared_ptr<rpc::Channel> store,
                std::shared_ptr<rpc::Channel> filter, Repository& repository, std::chrono::seconds keep_blobs)
      : auth_(std::move(auth)),
        store_(std::move(store)),
        scripts_(std::move(filter)),
        repository_(repository),
        keep_blobs_(keep_blobs) {}

  /// What became of the item, or nothing when its recipient is not ours. Error only when cancelled.
  Task<std::optional<Outcome>> deliver(const LeasedItem& item, Content& content);

 private:
  /// To accounts as their scripts want it, and on to where an alias leads.
  Task<Outcome> as_wanted(const LeasedItem& item, Content& content, const LocalRecipients& recipients,
                          const RemoteAddresses& elsewhere);
  Task<Outcome> store_all(const LeasedItem& item, Content& content, std::vector<LocalCopy> copies);
  /// To accounts of one cell.
  Task<Outcome> store(const LeasedItem& item, Content& content, std::string cell, std::vector<LocalCopy> copies);
  Task<store::v1::Body> body_for(const LeasedItem& item, Content& content, const LocalCopy& copy,
                                 const rpc::CallOptions& options);
  /// What leaves from here, each once however often the item is tried.
  Task<void> send_on(const LeasedItem& item, Content& content, const std::vector<Departure>& departures);

  std::shared_ptr<rpc::Channel> auth_;
  std::shared_ptr<rpc::Channel> store_;
  LocalScripts scripts_;
  Repository& repository_;
  std::chrono::seconds keep_blobs_;
};

}  // namespace merpati::queue
