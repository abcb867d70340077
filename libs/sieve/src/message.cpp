#include "message.hpp"

#include <algorithm>

#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::sieve {
namespace {

bool is_plain(std::string_view value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if ((c & 0x80) != 0 || c == '\r' || c == '\n' || c == '\0') return false;
    if (c == '=' && i + 1 < value.size() && value[i + 1] == '?') return false;
  }
  return true;
}

}  // namespace

std::string decoded_value(std::string_view raw) {
  return std::string(mime::trim(mime::decode_encoded_words(mime::unfold(raw))));
}

std::vector<mime::Address> addresses_in(std::string_view raw) { return mime::parse_addresses(mime::unfold(raw)); }

void Message::split() {
  split_ = true;
  header_size_ = mime::header_block_size(raw_);
  fields_.reserve(32);
  mime::FieldReader reader(raw_.substr(0, header_size_));
  for (mime::Field field; reader.next(field);) fields_.push_back({field.name, field.value, field.raw});
}

std::vector<Message::Field>& Message::fields() {
  if (!split_) split();
  return fields_;
}

std::string_view Message::decoded(Field& field) {
  if (field.plain) return field.value;
  if (!field.decoded) {
    if (const auto value = mime::trim(field.value); is_plain(value)) {
      field.value = value;
      field.plain = true;
      return value;
    }
    field.decoded = decoded_value(field.value);
  }
  return *field.decoded;
}

const std::vector<mime::Address>& Message::addresses(Field& field) {
  if (!field.addresses) field.addresses = addresses_in(field.value);
  return *field.addresses;
}

const mime::Part& Message::root_part() {
  if (!parts_) parts_ = mime::read_parts(raw_);
  return parts_->root;
}

void Message::add_field(std::string field, bool last) {
  fields();
  const std::string& kept = owned_.emplace_back(std::move(field));
  mime::FieldReader reader(kept);
  mime::Field found;
  if (!reader.next(found)) return;
  Field made{found.name, found.value, kept};
  if (last) {
    // A header that ended without its line end gets one.
    if (!fields_.empty() && !fields_.back().raw.ends_with('\n'))
      fields_.back().raw = owned_.emplace_back(std::string(fields_.back().raw) + "\r\n");
    fields_.push_back(std::move(made));
  } else {
    fields_.insert(fields_.begin(), std::move(made));
  }
  header_edited_ = changed_ = true;
}

void Message::delete_field(std::size_t index) {
  fields_.erase(fields_.begin() + static_cast<std::ptrdiff_t>(index));
  header_edited_ = changed_ = true;
}

std::string Message::header() {
  fields();
  std::string out;
  for (const Field& field : fields_) out += field.raw;
  if (!out.empty() && !out.ends_with('\n')) out += "\r\n";
  return out + "\r\n";
}

std::uint64_t Message::size() { return header_edited_ ? header().size() + raw_body().size() : raw_.size(); }

std::string_view Message::raw_body() {
  if (!split_) split();
  return raw_.substr(header_size_);
}

void Message::become(std::string message) {
  raw_ = owned_.emplace_back(std::move(message));
  fields_.clear();
  split_ = header_edited_ = false;
  parts_.reset();
  bodies_.clear();
  body_edited_ = changed_ = true;
}

std::size_t Message::version(std::vector<Version>& versions) {
  if (!changed_) return version_;
  changed_ = false;
  Version made{header(), std::nullopt};
  if (body_edited_) made.body = std::string(raw_body());
  versions.push_back(std::move(made));
  return version_ = versions.size() - 1;
}

std::string make_field(std::string_view name, std::string_view value) {
  std::string text(value);
  if (!is_plain(text)) text = mime::encode_encoded_words(mime::unfold(text));
  std::string out = std::string(name) + ":";
  std::size_t column = out.size();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = std::string_view(text).substr(at, end - at);
    if (column + 1 + word.size() > 77 && column > name.size() + 1 && !word.empty()) {
      out += "\r\n";
      column = 0;
    }
    out += ' ';
    out += word;
    column += 1 + word.size();
    at = end + 1;
  }
  return out + "\r\n";
}

}  // namespace merpati::sieve
