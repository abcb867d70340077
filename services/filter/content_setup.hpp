// Attachments and lists of senders, as the configuration has them.
#pragma once

#include "filter/attachments_engine.hpp"
#include "filter/sender_lists.hpp"
#include "merpati/config/v1/filter_content.pb.h"

namespace merpati::filter {

/// kInvalidArgument names the key.
Result<AttachmentsSettings> attachments_settings(const config::v1::Attachments& config);
Result<SenderLists> sender_lists(const config::v1::Senders& config);

}  // namespace merpati::filter
