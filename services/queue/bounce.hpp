// Delivery status notifications (RFC 3464): what a sender gets when mail could not be delivered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "queue/item.hpp"

namespace merpati::queue {

struct FailedRecipient {
  std::string address;
  std::string original_recipient;  ///< DSN ORCPT, may be empty
  Outcome outcome;
};

struct BounceText {
  std::string octets;     ///< CRLF line ends
  bool smtputf8 = false;  ///< holds an internationalized address
};

/// RFC 3461 5.2: whether this recipient's failure is told to the sender.
bool wants_failure_notice(std::string_view notify);

/// `original` is the message as it stood in the queue, whole or its beginning; up to 48 KiB are returned, else the
/// header.
BounceText compose_bounce(const Message& message, const std::vector<FailedRecipient>& failed, std::string_view original,
                          std::string_view hostname, WallTime now);

}  // namespace merpati::queue
