// How many sessions each account has at an edge, over all loops of the process.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "merpati/base/guarded.hpp"

namespace merpati::net {

/// Thread safe. Outlived by nothing that holds a Place: the counts are shared.
class AccountConnections {
 public:
  using Place = std::shared_ptr<void>;
  /// A place, given back when destroyed; empty when the account has `most` already.
  Place enter(std::int64_t account, unsigned most) {
    const bool entered = counts_->with([&](Counts& counts) {
      auto& count = counts[account];
      if (count >= most) return false;
      ++count;
      return true;
    });
    if (!entered) return nullptr;
    return Place(counts_.get(), [counts = counts_, account](void*) {
      counts->with([&](Counts& all) {
        const auto found = all.find(account);
        if (found != all.end() && --found->second == 0) all.erase(found);
      });
    });
  }

 private:
  using Counts = std::unordered_map<std::int64_t, unsigned>;
  std::shared_ptr<Guarded<Counts>> counts_ = std::make_shared<Guarded<Counts>>();
};

}  // namespace merpati::net
