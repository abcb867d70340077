// What an operator asks a trace by, and what of it a token may see.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"
#include "merpati/trace/v1/trace.pb.h"

namespace merpati::admin {

/// The request for a trace id, a Message-ID, a delivery id or a queue item; kInvalidArgument says what it may be.
Result<trace::v1::FindEventsRequest> wanted_events(std::string_view id);

/// Leaves the events of recipients in `domain`, and those of the message as a whole where such a recipient is among
/// them; nothing when there is none. Of verdicts, those about recipients in `domain`.
void keep_domain(std::vector<trace::v1::Event>& events, std::string_view domain);

/// By trace, the older one first, then by time.
void put_in_order(std::vector<trace::v1::Event>& events);

Error no_trace();

}  // namespace merpati::admin
