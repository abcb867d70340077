// StatusReader: STATUS of many callers in one statement. Always fresh: a call joins a statement that is not sent yet.
#pragma once

#include <memory>

#include "merpati/store/v1/store.pb.h"
#include "store/core.hpp"

namespace merpati::store {

class StatusReader {
 public:
  explicit StatusReader(Core& core);
  ~StatusReader();
  Task<v1::GetStatusResponse> read(v1::GetStatusRequest request, Deadline deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merpati::store
