// Changes to a header block as policy asks for them: fields deleted or replaced in place, everything else byte-exact.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace merpati::mime {

/// Names the index-th field of this name, counted from 1 at the top; 0 names all of them. Indexes are those of the
/// block before any edit, so the order of edits does not matter.
struct HeaderEdit {
  enum class Kind { kDelete, kReplace };
  Kind kind = Kind::kDelete;
  std::string name;
  std::size_t index = 0;
  std::string value;  ///< kReplace: the new value, without final CRLF
};

/// The block (with its empty line, when it has one) after the edits. Where two edits name one field, the first counts.
std::string edit_header_block(std::string_view block, std::span<const HeaderEdit> edits);

}  // namespace merpati::mime
