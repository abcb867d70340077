// A header block: its fields in order, found and unfolded without copying the block.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace merpati::mime {

/// ASCII case-insensitive equality, as field names and MIME tokens compare.
bool iequals(std::string_view a, std::string_view b);
/// ASCII lower case.
std::string to_lower(std::string_view text);
/// Without white space (SP, HTAB, CR, LF) at both ends.
std::string_view trim(std::string_view text);

/// One field. All views point into the block. `raw` covers the field with its continuation lines and line end, so that
/// the `raw` of all fields in order are the block (up to its empty line). A line that is no field has an empty name.
struct Field {
  std::string_view name;
  std::string_view value;  ///< after the colon, folded as received, without the last line end
  std::string_view raw;
};

/// Walks the fields of a header block; ends at the empty line or the end of the block.
class FieldReader {
 public:
  explicit FieldReader(std::string_view block) : rest_(block) {}
  bool next(Field& field);

 private:
  std::string_view rest_;
};

/// The first field of this name, by ASCII case-insensitive comparison.
std::optional<Field> find_field(std::string_view block, std::string_view name);
/// How many fields of this name there are.
std::size_t count_fields(std::string_view block, std::string_view name);

/// The value on one line (RFC 5322 2.2.3): line ends removed, white space at both ends too, a tab after a line end made
/// a space; NUL is dropped.
std::string unfold(std::string_view value);

/// The length of the header block at the start of `message`, with the empty line that ends it.
std::size_t header_block_size(std::string_view message);

}  // namespace merpati::mime
