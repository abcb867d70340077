// What the body test looks at (RFC 5173).
#include <algorithm>

#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/transfer.hpp"
#include "message.hpp"

namespace merpati::sieve {
namespace {

/// RFC 5173 5.2: "" is all, "text" is text/*, "text/html" itself; a type with more than one slash, or a slash at an
/// end, is none.
bool is_of_type(const mime::Part& part, std::string_view wanted) {
  const std::size_t slash = wanted.find('/');
  if (wanted.empty()) return true;
  if (slash == std::string_view::npos) return mime::iequals(part.type, wanted);
  return slash > 0 && slash + 1 < wanted.size() && mime::iequals(part.type, wanted.substr(0, slash)) &&
         mime::iequals(part.subtype, wanted.substr(slash + 1));
}

std::string content_of(std::string_view message, const mime::Part& part) {
  if (part.is_message()) {
    // RFC 5173 5.2: the header of a message inside; its parts are looked at for themselves
    return part.children.empty() ? std::string() : std::string(part.children[0].header.of(message));
  }
  if (part.is_multipart()) {
    // prologue and epilogue
    if (part.children.empty()) return std::string(part.body.of(message));
    const std::string_view body = part.body.of(message);
    const std::uint64_t first = part.children.front().header.offset - part.body.offset;
    const std::uint64_t last = part.children.back().body.end() - part.body.offset;
    return std::string(body.substr(0, first)) + std::string(body.substr(std::min<std::uint64_t>(last, body.size())));
  }
  const auto encoding = mime::encoding_from_name(part.encoding).value_or(mime::Encoding::kIdentity);
  std::string bytes = encoding == mime::Encoding::kIdentity ? std::string(part.body.of(message))
                                                            : mime::decode_transfer(encoding, part.body.of(message));
  if (part.type != "text") return bytes;
  return mime::to_utf8(mime::find_parameter(part.parameters, "charset").value_or("us-ascii"), bytes);
}

void collect(std::string_view message, const mime::Part& part, const std::vector<std::string>* content,
             std::vector<std::string>& out) {
  if (content == nullptr) {
    // RFC 5173 5.3: text as people read it; markup is taken off
    if (part.type == "text" && !part.is_message()) out.push_back(mime::readable_text(message, part, part.body.size));
  } else if (std::ranges::any_of(*content, [&](const std::string& type) { return is_of_type(part, type); })) {
    out.push_back(content_of(message, part));
  }
  for (const mime::Part& child : part.children) collect(message, child, content, out);
}

}  // namespace

const std::vector<std::string>& Message::body_texts(const std::vector<std::string>* content) {
  std::string key = content == nullptr ? "t" : "c";
  if (content != nullptr)
    for (const auto& type : *content) key += mime::to_lower(type) + '\n';
  const auto [found, made] = bodies_.try_emplace(key);
  if (made) collect(raw_, root_part(), content, found->second);
  return found->second;
}

}  // namespace merpati::sieve
