// Who sent a message, in the forms that the filter remembers senders by.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <string_view>

#include "filter/engine.hpp"

namespace merpati::filter {

/// "192.0.2.0/24", "2001:db8:1:2::/64": hosts that are one sender's, for all that is known. Empty when it is not known.
std::string network_of(const boost::asio::ip::address& client);

/// The registered domain that answers for the message: of an author by DMARC, else of a signature that passes, else of
/// the reverse-path (or HELO, where that is empty) by SPF. Empty: none.
std::string authenticated_domain(const MessageView& view);

/// The reverse-path's address in lower case, without what follows "+" or "=" in its local part; with " from NETWORK"
/// where nothing shows that it is not forged. Empty for <>, and for local parts so long that they must be tokens.
std::string sender_of(const MessageView& view);

/// In lower case; "" for <>.
std::string domain_of(std::string_view address);

}  // namespace merpati::filter
