// The mail that is measured with: made from a seed, so that two servers get the same bytes and no two messages are
// alike.
#pragma once

#include <cstdint>
#include <string>

namespace merpati::bench {

/// A plain message of about 4 KB with a random body.
std::string plain_message(std::uint64_t seed, std::uint64_t number, const std::string& to);

/// A message for the IMAP rows, also about 4 KB: mostly plain, some with alternatives, attachments, encoded words,
/// groups, and messages inside messages.
std::string varied_message(std::uint64_t seed, std::uint64_t number);

/// An INTERNALDATE for it: "05-Nov-2026 10:11:12 +0000".
std::string internal_date(std::uint64_t number);

}  // namespace merpati::bench
