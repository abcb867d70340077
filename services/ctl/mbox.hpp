// Files of messages: one message, or a mailbox in the format mbox.
#pragma once

#include <string>
#include <vector>

namespace merpati::ctl {

/// The messages of an mbox (RFC 4155; lines that were quoted as ">From " are restored), or the one message that the
/// octets are when they do not begin with "From ".
std::vector<std::string> messages_in(std::string octets);

}  // namespace merpati::ctl
