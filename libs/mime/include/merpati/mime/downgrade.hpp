// A header with raw UTF-8 (RFC 6532) in a form for programs that know US-ASCII only (RFC 6858).
#pragma once

#include <string>
#include <string_view>

namespace merpati::mime {

/// The block with its fields in US-ASCII: texts and names in encoded words, parameters as RFC 2231 has them. An address
/// that is not US-ASCII becomes one that cannot be written to, and shows as the name; trace fields that are not
/// US-ASCII are left out. Fields in US-ASCII, and those in another charset than UTF-8, stay as they are.
std::string downgrade_header(std::string_view block);

}  // namespace merpati::mime
