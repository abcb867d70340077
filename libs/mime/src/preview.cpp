#include "preview.hpp"

#include <unicode/utf8.h>

#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/html.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::mime {
namespace {
constexpr std::size_t kPreviewBytes = 1024;
constexpr std::size_t kPreviewHtmlBytes = 16 * 1024;

bool is_text(const Part& part, std::string_view subtype) {
  return part.type == "text" && part.subtype == subtype && part.body.size > 0 &&
         !(part.disposition && part.disposition->type == "attachment");
}

const Part* first_text(const Part& part, std::string_view subtype) {
  if (is_text(part, subtype)) return &part;
  if (!part.is_multipart()) return nullptr;
  for (const Part& child : part.children) {
    if (const Part* found = first_text(child, subtype)) return found;
  }
  return nullptr;
}

// Where the element that starts at `at` ends with its closing tag, for elements whose content is no text.
std::size_t skip_element(std::string_view html, std::size_t at, std::string_view name) {
  for (std::size_t from = at; (from = html.find("</", from)) != std::string_view::npos; from += 2) {
    if (iequals(html.substr(from + 2, name.size()), name)) {
      const std::size_t end = html.find('>', from);
      return end == std::string_view::npos ? html.size() : end + 1;
    }
  }
  return html.size();
}
}  // namespace

std::string strip_html(std::string_view html) {
  std::string out;
  for (std::size_t at = 0; at < html.size();) {
    const char c = html[at];
    if (c == '&') {
      at += append_html_entity(html.substr(at), out);
    } else if (c != '<') {
      out.push_back(c);
      ++at;
    } else if (html.substr(at, 4) == "<!--") {
      const std::size_t end = html.find("-->", at + 4);
      at = end == std::string_view::npos ? html.size() : end + 3;
    } else {
      bool skipped = false;
      for (std::string_view name : {"style", "script", "head", "title"}) {
        const std::string_view tag = html.substr(at + 1, name.size() + 1);
        if (tag.size() > name.size() && iequals(tag.substr(0, name.size()), name) &&
            (tag.back() == '>' || tag.back() == ' ' || tag.back() == '\r' || tag.back() == '\n')) {
          at = skip_element(html, at, name);
          skipped = true;
          break;
        }
      }
      if (skipped) continue;
      const std::size_t end = html.find('>', at);
      at = end == std::string_view::npos ? html.size() : end + 1;
      out.push_back(' ');
    }
  }
  return out;
}

std::string readable_text(std::string_view message, const Part& part, std::size_t max_bytes) {
  const Encoding encoding = encoding_from_name(part.encoding).value_or(Encoding::kIdentity);
  std::string bytes;
  TransferDecoder transfer(encoding);
  const std::string_view body = part.body.of(message);
  transfer.feed(body.substr(0, max_bytes), bytes);
  if (body.size() <= max_bytes) transfer.finish(bytes);
  std::string text;
  CharsetDecoder charset(find_parameter(part.parameters, "charset").value_or(""));
  charset.feed(bytes, text);
  if (body.size() <= max_bytes) charset.finish(text);
  return part.subtype == "html" ? strip_html(text) : text;
}

std::string make_preview(std::string_view message, const Part& root, std::size_t characters) {
  const Part* part = first_text(root, "plain");
  if (!part) part = first_text(root, "html");
  if (!part) return {};
  const std::string text = readable_text(message, *part, part->subtype == "html" ? kPreviewHtmlBytes : kPreviewBytes);
  std::string out;
  std::size_t count = 0;
  bool gap = false;
  const auto length = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < length;) {
    const std::int32_t start = i;
    UChar32 c;
    U8_NEXT(text.data(), i, length, c);
    if (c <= 32 || c == 0x7F || c == 0xA0 || c == 0x2028 || c == 0x2029 || (c >= 0x80 && c < 0xA0)) {
      gap = !out.empty();
      continue;
    }
    if (c == 0x200B || c == 0x200C || c == 0x200D || c == 0xFEFF || c == 0xAD || c == 0x34F) continue;  // padding
    if (count + (gap ? 2 : 1) > characters) break;
    if (gap) out.push_back(' ');
    count += gap ? 2 : 1;
    gap = false;
    out.append(text, static_cast<std::size_t>(start), static_cast<std::size_t>(i - start));
  }
  return out;
}

}  // namespace merpati::mime
