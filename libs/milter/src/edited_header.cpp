#include "merpati/milter/edited_header.hpp"

#include <algorithm>

#include "merpati/mime/header.hpp"

namespace merpati::milter {
namespace {

std::string text_of(std::string_view name, std::string_view value, EditedHeader::Space space) {
  std::string raw(name);
  raw.push_back(':');
  if (space == EditedHeader::Space::kOurs) raw.push_back(' ');
  return raw.append(value).append("\r\n");
}

}  // namespace

std::string_view EditedHeader::Field::value() const {
  std::string_view text = raw;
  text.remove_prefix(std::min(text.size(), text.find(':') + 1));
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

EditedHeader::EditedHeader(std::string_view block) {
  mime::FieldReader reader(block);
  std::size_t taken = 0;
  for (mime::Field field; reader.next(field);) {
    fields_.push_back({std::string(field.name), std::string(field.raw), false});
    taken += field.raw.size();
  }
  end_ = block.substr(taken);
  if (!fields_.empty() && !fields_.back().raw.ends_with('\n')) fields_.back().raw.append("\r\n");
}

void EditedHeader::add(std::string_view name, std::string_view value, Space space) {
  fields_.push_back({std::string(name), text_of(name, value, space), false});
  changed_ = true;
}

void EditedHeader::insert(std::uint32_t index, std::string_view name, std::string_view value, Space space) {
  auto at = fields_.begin();
  for (; at != fields_.end(); ++at) {
    if (at->deleted) continue;
    if (index-- == 0) break;
  }
  fields_.insert(at, {std::string(name), text_of(name, value, space), false});
  changed_ = true;
}

void EditedHeader::change(std::uint32_t index, std::string_view name, std::string_view value, Space space) {
  for (Field& field : fields_) {
    if (!mime::iequals(field.name, name) || (index > 1 && index-- > 1)) continue;
    changed_ = changed_ || !value.empty() || !field.deleted;
    field.deleted = value.empty();
    if (!value.empty()) field.raw = text_of(name, value, space);
    return;
  }
  if (!value.empty()) add(name, value, space);
}

void EditedHeader::drop(std::string_view name, const std::vector<std::size_t>& places) {
  std::size_t place = 0;
  const auto dropped = [&](const Field& field) {
    return mime::iequals(field.name, name) && std::ranges::find(places, ++place) != places.end();
  };
  changed_ = std::erase_if(fields_, dropped) > 0 || changed_;
}

std::size_t EditedHeader::size() const {
  std::size_t size = end_.size();
  for (const Field& field : fields_)
    if (!field.deleted) size += field.raw.size();
  return size;
}

std::string EditedHeader::str() const {
  std::string block;
  block.reserve(size());
  for (const Field& field : fields_)
    if (!field.deleted) block.append(field.raw);
  return block.append(end_);
}

}  // namespace merpati::milter
