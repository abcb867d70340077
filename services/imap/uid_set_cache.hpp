// One uid set for each mailbox version, shared by the sessions of a loop.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "merpati/imap/number_set.hpp"

namespace merpati::imap {

using SharedUidSet = std::shared_ptr<const UidSet>;

/// Used on one loop's thread.
class UidSetCache {
 public:
  /// The set with these uids: the one that another session of the loop already has, when it is the same.
  SharedUidSet share(std::int64_t account, std::int64_t mailbox, Ranges ranges) {
    auto& slot = latest_[Key{account, mailbox}];
    if (auto known = slot.lock(); known && known->ranges() == ranges) return known;
    auto fresh = std::make_shared<const UidSet>(ranges);
    slot = fresh;
    if (latest_.size() > sweep_at_) sweep();
    return fresh;
  }
  std::size_t size() const { return latest_.size(); }

 private:
  struct Key {
    std::int64_t account;
    std::int64_t mailbox;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return std::hash<std::int64_t>()(key.account * 1000003 ^ key.mailbox);
    }
  };
  void sweep() {
    std::erase_if(latest_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = 1000 + latest_.size() * 2;
  }

  std::unordered_map<Key, std::weak_ptr<const UidSet>, Hash> latest_;
  std::size_t sweep_at_ = 1000;
};

}  // namespace merpati::imap
