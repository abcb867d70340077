// FlagChanges: STORE commands, many in one commit.
#pragma once

#include <memory>

#include "merpati/store/v1/store.pb.h"
#include "store/core.hpp"

namespace merpati::store {

class FlagChanges {
 public:
  explicit FlagChanges(Core& core);
  ~FlagChanges();
  Task<v1::StoreFlagsResponse> store(v1::StoreFlagsRequest request, Deadline deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merpati::store
