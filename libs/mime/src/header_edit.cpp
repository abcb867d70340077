#include "merpati/mime/header_edit.hpp"

#include <map>

#include "merpati/mime/header.hpp"

namespace merpati::mime {

std::string edit_header_block(std::string_view block, std::span<const HeaderEdit> edits) {
  std::string out;
  out.reserve(block.size());
  std::map<std::string, std::size_t> seen;
  std::size_t consumed = 0;
  FieldReader reader(block);
  for (Field field; reader.next(field);) {
    consumed += field.raw.size();
    const HeaderEdit* chosen = nullptr;
    if (!field.name.empty()) {
      const std::size_t index = ++seen[to_lower(field.name)];
      for (const HeaderEdit& edit : edits) {
        if ((edit.index == 0 || edit.index == index) && iequals(edit.name, field.name)) {
          chosen = &edit;
          break;
        }
      }
    }
    if (!chosen) {
      out += field.raw;
    } else if (chosen->kind == HeaderEdit::Kind::kReplace) {
      out.append(field.name).append(": ").append(chosen->value).append("\r\n");
    }
  }
  out += block.substr(consumed);
  return out;
}

}  // namespace merpati::mime
