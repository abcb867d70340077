// The few words of a message that a list view shows. Private to the library.
#pragma once

#include <string>
#include <string_view>

#include "merpati/mime/summary.hpp"

namespace merpati::mime {

/// RFC 8970 3: text of the first readable part, white space collapsed, at most `characters` characters of UTF-8.
std::string make_preview(std::string_view message, const Part& root, std::size_t characters);
/// HTML without its markup, scripts and styles; common entities decoded.
std::string strip_html(std::string_view html);

}  // namespace merpati::mime
