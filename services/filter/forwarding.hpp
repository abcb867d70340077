// Mail that goes on elsewhere goes on alike, whether a script redirects it or an alias leads there: whose sender it
// has, what stands in front of it, and where circles end. No I/O.
#pragma once

#include <string>
#include <string_view>

#include "merpati/base/clock.hpp"
#include "merpati/filter/v1/filter.pb.h"
#include "merpati/mailauth/srs.hpp"

namespace merpati::filter {

/// A bounce stays one, and our own users' mail keeps its sender. Of other mail the sender's domain does not allow us to
/// send it (RFC 7208 10.3): it goes on with a rewritten sender, or, without `srs` or where that cannot be, with
/// `otherwise`.
std::string forwarded_sender(const std::string& sender, bool sender_is_ours, const std::string& otherwise,
                             const mailauth::Srs* srs, WallTime now);

/// Where the message was before it would go round for ever, and one that made many hops does so already.
bool goes_round(std::string_view header_block, std::string_view address);

/// To `address`; the trace names `forwarder`, the address here that it came to. Empty: none is known.
v1::Redirect forward_to(std::string address, std::string reverse_path, const std::string& forwarder);

/// For recipients elsewhere that an address of ours leads to, in mail that came from outside: puts how it goes on into
/// their verdicts. One in a circle has it by now, so its copy is dropped; where nobody else takes the message, it is
/// refused (5.4.6). `header_block` is that of the message with what stands in front of it. The same for the same
/// message, but for the day that is in a rewritten sender.
void forward_aliases(const v1::CheckMessageRequest& request, std::string_view header_block, const mailauth::Srs* srs,
                     WallTime now, v1::CheckMessageResponse& response);

}  // namespace merpati::filter
