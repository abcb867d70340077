// What a message becomes for a host that cannot take it as it is: parts in base64 or quoted-printable (RFC 6152 3,
// RFC 3030 3), or the reason why it stays as it is and goes back.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "merpati/base/task.hpp"
#include "merpati/smtp/client.hpp"
#include "queue/content.hpp"
#include "queue/item.hpp"
#include "queue/remote_session.hpp"

namespace merpati::queue {

struct Fitted {
  std::optional<Outcome> refusal;    ///< it cannot go there
  std::shared_ptr<Content> content;  ///< null: the original
  std::string note;                  ///< for the trace, such as "converted to 7bit"; empty: nothing was done
};

/// Makes `transaction` fit for a host with these extensions: its body type, size and SMTPUTF8 are set anew. Its
/// addresses are not touched. Errors when the content cannot be read now.
Task<Fitted> fit_for(const smtp::ServerExtensions& host, const std::string& host_name, const Message& message,
                     Content& content, Transaction& transaction, asio::thread_pool& blocking);

/// `address` with its domain in A-labels (RFC 5890), when that makes it US-ASCII.
std::optional<std::string> to_ascii_address(const std::string& address);

}  // namespace merpati::queue
