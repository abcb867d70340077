// What the store keeps of a message: libs/mime's summary in its stored form.
#pragma once

#include <cstdint>
#include <string_view>

namespace merpati::store::v1 {
class MessageSummary;
}

namespace merpati::store {

/// Version of the parser; rows with an older one are parsed again when they are read.
inline constexpr std::int32_t kSummaryVersion = 1;

/// Parses the message and fills `out`, with the IMAP forms pre-rendered. Never fails; linear in the message's size.
/// Of mail with NUL octets everything is about its view (view.hpp), which is in `out` too.
void summarize_message(std::string_view message, v1::MessageSummary& out);

}  // namespace merpati::store
