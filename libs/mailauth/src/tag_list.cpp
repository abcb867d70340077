#include "merpati/mailauth/tag_list.hpp"

#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
}  // namespace

Result<TagList> TagList::parse(std::string_view text) {
  TagList out;
  while (true) {
    const auto end = text.find(';');
    const auto tag = mime::trim(text.substr(0, end));
    // RFC 6376 3.2: one semicolon may end the list.
    if (tag.empty() && end == std::string_view::npos && !out.tags_.empty()) break;
    const auto equals = tag.find('=');
    if (equals == std::string_view::npos) return Error(ErrorCode::kInvalidArgument, "a tag without \"=\"");
    const auto name = mime::trim(tag.substr(0, equals));
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_char)) {
      return Error(ErrorCode::kInvalidArgument, "not the name of a tag");
    }
    if (out.find(name)) return Error(ErrorCode::kInvalidArgument, "the tag " + std::string(name) + " stands twice");
    if (out.tags_.size() == 100) return Error(ErrorCode::kInvalidArgument, "too many tags");
    out.tags_.emplace_back(name, mime::trim(tag.substr(equals + 1)));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

std::optional<std::string_view> TagList::find(std::string_view name) const {
  for (const auto& [tag, value] : tags_) {
    if (tag == name) return value;
  }
  return std::nullopt;
}

std::string_view TagList::get(std::string_view name, std::string_view otherwise) const {
  return find(name).value_or(otherwise);
}

std::string without_space(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), [](char c) { return !is_space(c); });
  return out;
}

std::optional<long long> parse_number(std::string_view text) {
  if (text.empty() || text.size() > 12) return std::nullopt;
  long long out = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    out = out * 10 + (c - '0');
  }
  return out;
}

std::optional<std::string> parse_base64(std::string_view text) {
  std::string plain = without_space(text);
  while (plain.size() % 4 != 0 && !plain.ends_with("==")) plain.push_back('=');
  return from_base64(plain);
}

std::vector<std::string_view> split_list(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const auto end = text.find(separator);
    out.push_back(mime::trim(text.substr(0, end)));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

}  // namespace merpati::mailauth
