#include "merpati/mime/search_text.hpp"

#include "merpati/mime/charset.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/transfer.hpp"

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

// Piece by piece: decoded, converted and folded; the end of each piece is kept for a needle across two.
bool Needle::in_part(std::string_view message, const Part& part) const {
  const auto encoding = encoding_from_name(part.encoding);
  if (!encoding) return false;
  TransferDecoder transfer(*encoding);
  const auto named = find_parameter(part.parameters, "charset");
  CharsetDecoder charset(named ? *named : std::string_view());
  std::string_view rest = part.body.of(message);
  std::string window;
  for (bool last = false; !last;) {
    const std::string_view piece = rest.substr(0, kPiece);
    rest.remove_prefix(piece.size());
    last = rest.empty();
    std::string bytes;
    transfer.feed(piece, bytes);
    if (last) transfer.finish(bytes);
    std::string text;
    charset.feed(bytes, text);
    if (last) charset.finish(text);
    window += casemap(text);
    if (window.find(folded_) != std::string::npos) return true;
    if (window.size() >= folded_.size()) window.erase(0, window.size() - folded_.size() + 1);
  }
  return false;
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
