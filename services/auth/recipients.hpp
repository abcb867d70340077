// Recipients: who takes mail for an address, and who may send as it. Thread safe.
#pragma once

#include <optional>
#include <string>

#include "auth/directory.hpp"
#include "auth/keys.hpp"
#include "merpati/auth/v1/auth.pb.h"
#include "merpati/mailauth/srs.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::auth {

class Recipients {
 public:
  /// `srs` resolves rewritten senders that mail comes back to; nothing: there are none.
  Recipients(Directory& directory, const Keys& keys, runtime::Metrics& metrics,
             std::optional<mailauth::Srs> srs = std::nullopt);

  Task<v1::ResolveRecipientResponse> resolve(std::string address, Deadline deadline);
  Task<bool> may_send_as(std::int64_t account_id, std::string address, Deadline deadline);

 private:
  Task<v1::ResolveRecipientResponse> walk(std::string address, Deadline deadline);

  Directory& directory_;
  const Keys& keys_;
  runtime::Metrics& metrics_;
  std::optional<mailauth::Srs> srs_;
};

}  // namespace merpati::auth
