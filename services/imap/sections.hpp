// Which octets of a message a section means, by the offsets that the parser found at delivery (RFC 9051 6.4.5.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "imap/convert.hpp"
#include "merpati/imap/command.hpp"

namespace merpati::imap {

/// As BODY[] counts: header_prefix, then the blob.
struct OctetRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool verbatim = false;  ///< of the message as it came, not as it is shown (binary mail)
};

/// The part that numbers mean; null when there is none. An empty list is the message itself.
const pb::Part* find_part(const pb::MessageRow& row, const std::vector<std::uint32_t>& numbers);

/// The octets of a section, before HEADER.FIELDS picks from them. Nothing when the part does not exist. `row` needs
/// size and parts.
std::optional<OctetRange> locate(const pb::MessageRow& row, const Section& section);

/// Cuts a partial out of a range of `length` octets: the offset within it, and what is left.
OctetRange cut(OctetRange range, const std::optional<FetchItem::Partial>& partial);

/// The fields of a raw header that HEADER.FIELDS (or .NOT) names, with the empty line at the end.
std::string pick_fields(std::string_view header, const std::vector<std::string>& names, bool all_but);

}  // namespace merpati::imap
