#include "preview.hpp"

#include <unicode/utf8.h>

#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"
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

struct Entity {
  std::string_view name, text;
};
constexpr Entity kEntities[] = {{"amp", "&"},
                                {"lt", "<"},
                                {"gt", ">"},
                                {"quot", "\""},
                                {"apos", "'"},
                                {"nbsp", " "},
                                {"zwnj", ""},
                                {"shy", ""},
                                {"copy", "\xC2\xA9"},
                                {"euro", "\xE2\x82\xAC"},
                                {"ndash", "\xE2\x80\x93"},
                                {"mdash", "\xE2\x80\x94"},
                                {"hellip", "\xE2\x80\xA6"},
                                {"rsquo", "\xE2\x80\x99"},
                                {"lsquo", "\xE2\x80\x98"},
                                {"ldquo", "\xE2\x80\x9C"},
                                {"rdquo", "\xE2\x80\x9D"},
                                {"bull", "\xE2\x80\xA2"}};

void append_code_point(std::uint32_t c, std::string& out) {
  if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return;
  std::uint8_t buffer[U8_MAX_LENGTH];
  std::int32_t size = 0;
  U8_APPEND_UNSAFE(buffer, size, c);
  out.append(reinterpret_cast<char*>(buffer), static_cast<std::size_t>(size));
}

// `text` starts with '&'. Returns the length that was read.
std::size_t append_entity(std::string_view text, std::string& out) {
  const std::size_t end = text.substr(0, 12).find(';');
  if (end == std::string_view::npos || end < 2) {
    out.push_back('&');
    return 1;
  }
  const std::string_view name = text.substr(1, end - 1);
  if (name[0] == '#') {
    const bool hex = name.size() > 1 && (name[1] | 32) == 'x';
    std::uint32_t c = 0;
    for (char digit : name.substr(hex ? 2 : 1)) {
      const bool decimal = digit >= '0' && digit <= '9';
      const char low = static_cast<char>(digit | 32);
      if (!decimal && !(hex && low >= 'a' && low <= 'f')) return end + 1;
      c = c * (hex ? 16 : 10) + static_cast<std::uint32_t>(decimal ? digit - '0' : low - 'a' + 10);
      if (c > 0x10FFFF) return end + 1;
    }
    append_code_point(c, out);
    return end + 1;
  }
  for (const Entity& entity : kEntities) {
    if (entity.name == name) {
      out += entity.text;
      return end + 1;
    }
  }
  out.push_back('&');
  return 1;
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
      at += append_entity(html.substr(at), out);
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
