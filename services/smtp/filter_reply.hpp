// What a filter's decision says to an SMTP client.
#pragma once

#include <optional>

#include "merpati/filter/v1/filter.pb.h"
#include "merpati/smtp/reply.hpp"

namespace merpati::smtp {

/// The refusal, temporary or permanent; none when the decision lets the mail pass. A reply whose code is not of the
/// decision's class is replaced by the default.
std::optional<Reply> filter_refusal(filter::v1::Decision decision, const filter::v1::Reply& reply);

}  // namespace merpati::smtp
