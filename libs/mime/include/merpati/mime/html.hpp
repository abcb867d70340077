// What is read from HTML bodies: character references, and links with the text that people see.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace merpati::mime {

/// Decodes the character reference at the start of `text`, which starts with "&", into UTF-8. Returns the octets read,
/// at least 1; what is no reference gives the "&" itself.
std::size_t append_html_entity(std::string_view text, std::string& out);

struct HtmlLink {
  std::string href;  ///< decoded, without white space at both ends
  std::string text;  ///< between <a> and </a>, without markup, decoded; at most 500 octets
};

/// The links (<a> and <area> with href) of an HTML text in UTF-8, in its order, at most `max`. Never fails. Linear in
/// the text's size.
std::vector<HtmlLink> html_links(std::string_view html, std::size_t max = 500);

}  // namespace merpati::mime
