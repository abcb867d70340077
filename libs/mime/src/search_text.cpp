#include "merpati/mime/search_text.hpp"

#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {
constexpr std::size_t kPiece = 64 * 1024;
}

Needle::Needle(std::string_view utf8) : folded_(casemap(utf8)) {}

bool Needle::in_utf8(std::string_view text) const {
  return folded_.empty() || casemap(text).find(folded_) != std::string::npos;
}

bool Needle::in_field(std::string_view value) const { return in_utf8(decode_encoded_words(unfold(value))); }

bool Needle::in_header(std::string_view block, std::string_view name) const {
  FieldReader reader(block);
  for (Field field; reader.next(field);) {
    if (iequals(field.name, name) && in_field(field.value)) return true;
  }
  return false;
}

bool Needle::in_header_block(std::string_view block) const {
  if (folded_.empty()) return true;
  FieldReader reader(block);
  for (Field field; reader.next(field);) {
    // As "Name: value", so that a needle may reach over the colon.
    if (in_utf8(std::string(field.name) + ": " + decode_encoded_words(unfold(field.value)))) return true;
  }
  return false;
}

bool Needle::in_part(std::string_view message, const Part& part) const {
  TextSearch search(*this, part);
  std::string_view rest = part.body.of(message);
  for (;;) {
    const std::string_view piece = rest.substr(0, kPiece);
    rest.remove_prefix(piece.size());
    if (search.feed(piece, rest.empty())) return true;
    if (rest.empty()) return false;
  }
}

TextSearch::TextSearch(const Needle& needle, const Part& part)
    : needle_(needle),
      readable_(encoding_from_name(part.encoding).has_value()),
      transfer_(encoding_from_name(part.encoding).value_or(Encoding::kIdentity)),
      charset_(find_parameter(part.parameters, "charset").value_or("")),
      found_(needle.empty()) {}

// Decoded, converted and folded; the end of each piece is kept for a needle that reaches into the next.
bool TextSearch::feed(std::string_view piece, bool last) {
  if (found_ || !readable_) return found_;
  std::string bytes;
  transfer_.feed(piece, bytes);
  if (last) transfer_.finish(bytes);
  std::string text;
  charset_.feed(bytes, text);
  if (last) charset_.finish(text);
  window_ += casemap(text);
  const std::string& folded = needle_.folded();
  found_ = window_.find(folded) != std::string::npos;
  if (window_.size() >= folded.size()) window_.erase(0, window_.size() - folded.size() + 1);
  return found_;
}

bool Needle::in_body(std::string_view message, const Part& root) const {
  if (folded_.empty()) return true;
  if (root.is_message()) {
    for (const Part& child : root.children) {
      if (in_header_block(child.header.of(message)) || in_body(message, child)) return true;
    }
    return false;
  }
  if (root.is_multipart()) {
    for (const Part& child : root.children) {
      if (in_body(message, child)) return true;
    }
    return false;
  }
  return root.type == "text" && in_part(message, root);
}

bool Needle::in_message(std::string_view message, const Part& root) const {
  return in_header_block(root.header.of(message)) || in_body(message, root);
}

}  // namespace merpati::mime
