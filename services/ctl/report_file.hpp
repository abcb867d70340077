// What a mail provider sends as a DMARC report, down to its XML: gzip, zip, or a whole mail with either attached.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::ctl {

struct UnpackLimits {
  std::size_t octets = std::size_t{64} << 20;  ///< of all documents together
  std::size_t ratio = 200;  ///< of unpacked to packed octets, from `free` on: no report shrinks so far
  std::size_t free = std::size_t{1} << 20;
  std::size_t documents = 100;
};

/// The XML documents in `octets`, at least one. kInvalidArgument: it is none of these, or damaged; kResourceExhausted:
/// it unpacks to more than a report does.
Result<std::vector<std::string>> unpack_reports(std::string_view octets, const UnpackLimits& limits = {});

}  // namespace merpati::ctl
