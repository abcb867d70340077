// Reading one entity's header block into a Part and, for a message, an Envelope. Private to the library.
#pragma once

#include <string_view>

#include "merpati/mime/summary.hpp"

namespace merpati::mime {

enum class DefaultType : std::uint8_t { kText, kMessage };  ///< kMessage below multipart/digest (RFC 2046 5.1.5)

/// Fills the part's fields from its header block.
void read_part_header(std::string_view block, DefaultType default_type, const Limits& limits, Part& part);
/// Fills an envelope from the header block of a message.
void read_envelope(std::string_view block, const Limits& limits, Envelope& envelope);
/// What only the outermost header tells: references, dates, the base subject, Received.
void read_message_header(std::string_view block, const Limits& limits, Summary& summary);

}  // namespace merpati::mime
