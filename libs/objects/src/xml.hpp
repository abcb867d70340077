// The little XML that S3 endpoints answer: elements and text; attributes are skipped, a DTD is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::objects {

struct XmlElement {
  std::string name;  // without a namespace prefix
  std::string text;  // all text directly inside, entities resolved
  std::vector<XmlElement> children;

  /// The first child of that name, or null.
  const XmlElement* child(std::string_view wanted) const;
  /// The text of the first child of that name, or "".
  std::string_view text_of(std::string_view wanted) const;
};

/// The root element. At most 16 levels; malformed input is kInternal (the endpoint's fault).
Result<XmlElement> parse_xml(std::string_view document);
std::string xml_escape(std::string_view text);

}  // namespace merpati::objects
