#include "merpati/mime/header.hpp"

#include <algorithm>
#include <cstring>

namespace merpati::mime {
namespace {
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// The first line of `text` with its line end.
std::string_view first_line(std::string_view text) {
  const void* lf = std::memchr(text.data(), '\n', text.size());
  return lf ? text.substr(0, static_cast<const char*>(lf) - text.data() + 1) : text;
}
bool is_empty_line(std::string_view line) { return line == "\r\n" || line == "\n"; }
}  // namespace

bool iequals(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool FieldReader::next(Field& field) {
  if (rest_.empty()) return false;
  std::string_view line = first_line(rest_);
  if (is_empty_line(line)) return false;
  std::size_t size = line.size();
  while (size < rest_.size() && (rest_[size] == ' ' || rest_[size] == '\t')) {
    size += first_line(rest_.substr(size)).size();
  }
  field.raw = rest_.substr(0, size);
  rest_.remove_prefix(size);

  field.name = {};
  field.value = {};
  std::size_t colon = 0;
  while (colon < line.size() && line[colon] > 32 && line[colon] < 127 && line[colon] != ':') ++colon;
  const std::size_t name_size = colon;
  // RFC 5322 4.5: white space before the colon is obsolete, but read.
  while (colon < line.size() && (line[colon] == ' ' || line[colon] == '\t')) ++colon;
  if (name_size == 0 || colon >= line.size() || line[colon] != ':') return true;
  field.name = field.raw.substr(0, name_size);
  field.value = field.raw.substr(colon + 1);
  if (field.value.ends_with('\n')) field.value.remove_suffix(1);
  if (field.value.ends_with('\r')) field.value.remove_suffix(1);
  return true;
}

std::optional<Field> find_field(std::string_view block, std::string_view name) {
  FieldReader reader(block);
  for (Field field; reader.next(field);) {
    if (iequals(field.name, name)) return field;
  }
  return std::nullopt;
}

std::size_t count_fields(std::string_view block, std::string_view name) {
  std::size_t count = 0;
  FieldReader reader(block);
  for (Field field; reader.next(field);) count += iequals(field.name, name);
  return count;
}

std::string unfold(std::string_view value) {
  value = trim(value);
  std::string out;
  out.reserve(value.size());
  bool folded = false;
  for (char c : value) {
    if (c == '\r' || c == '\n') {
      folded = true;
    } else if (c != '\0') {
      // A tab that folds a line stands for a space: that is how such lines were made.
      out.push_back(folded && c == '\t' ? ' ' : c);
      folded = false;
    }
  }
  return out;
}

std::size_t header_block_size(std::string_view message) {
  std::size_t at = 0;
  while (at < message.size()) {
    const std::string_view line = first_line(message.substr(at));
    at += line.size();
    if (is_empty_line(line)) break;
  }
  return at;
}

}  // namespace merpati::mime
