#include "smtp/edits.hpp"

#include <vector>

namespace merpati::smtp {
namespace {

using filter::v1::HeaderEdit;

struct Field {
  std::string_view text;  ///< with its CRLF and folded lines
  std::string replacement;
  bool replaced = false;
};

std::vector<Field> split(std::string_view header) {
  std::vector<Field> fields;
  while (!header.empty()) {
    std::size_t end = 0;
    do {
      const auto line_end = header.find("\r\n", end);
      end = line_end == header.npos ? header.size() : line_end + 2;
    } while (end < header.size() && (header[end] == ' ' || header[end] == '\t') && end > 2);
    fields.push_back({header.substr(0, end), {}, false});
    header.remove_prefix(end);
  }
  return fields;
}

bool has_name(std::string_view field, std::string_view name) {
  if (field.size() <= name.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (std::size_t i = 0; i < name.size(); ++i)
    if (lower(field[i]) != lower(name[i])) return false;
  const auto colon = field.find_first_not_of(" \t", name.size());
  return colon != field.npos && field[colon] == ':';
}

}  // namespace

std::size_t header_size(std::string_view message) {
  if (message.starts_with("\r\n")) return 2;
  const auto end = message.find("\r\n\r\n");
  return end == message.npos ? message.size() : end + 4;
}

std::string prepended(const HeaderEdits& edits) {
  std::string out;
  for (const auto& edit : edits)
    if (edit.kind() == HeaderEdit::KIND_PREPEND)
      out.append(edit.name()).append(": ").append(edit.value()).append("\r\n");
  return out;
}

bool edits_body(const HeaderEdits& edits) {
  for (const auto& edit : edits)
    if (edit.kind() == HeaderEdit::KIND_DELETE || edit.kind() == HeaderEdit::KIND_REPLACE) return true;
  return false;
}

std::string edit_header(std::string_view header, const HeaderEdits& edits) {
  auto fields = split(header);
  for (const auto& edit : edits) {
    if (edit.kind() != HeaderEdit::KIND_DELETE && edit.kind() != HeaderEdit::KIND_REPLACE) continue;
    int index = 0;
    // Indexes count the fields as they came, so that edits do not shift one another.
    for (auto& field : fields) {
      if (!has_name(field.text, edit.name())) continue;
      ++index;
      if (edit.index() != 0 && edit.index() != index) continue;
      field.replaced = true;
      field.replacement.clear();
      if (edit.kind() == HeaderEdit::KIND_REPLACE)
        field.replacement.append(edit.name()).append(": ").append(edit.value()).append("\r\n");
    }
  }
  std::string out;
  out.reserve(header.size());
  for (const auto& field : fields) out.append(field.replaced ? std::string_view(field.replacement) : field.text);
  return out;
}

}  // namespace merpati::smtp
