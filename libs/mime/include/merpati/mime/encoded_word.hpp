// Encoded words in header fields (RFC 2047).
#pragma once

#include <string>
#include <string_view>

namespace merpati::mime {

/// An unfolded field value as UTF-8: encoded words decoded, white space between two of them dropped (RFC 2047 6.2),
/// raw 8-bit bytes kept when they are UTF-8 (RFC 6532) and else taken as windows-1252.
std::string decode_encoded_words(std::string_view value);

/// `text` in UTF-8 as encoded words where it needs them, for fields that we write.
std::string encode_encoded_words(std::string_view text);

}  // namespace merpati::mime
