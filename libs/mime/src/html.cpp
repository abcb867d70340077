#include "merpati/mime/html.hpp"

#include <unicode/utf8.h>

#include <algorithm>

#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {
constexpr std::size_t kLongestHref = 4096;  // octets
constexpr std::size_t kLongestText = 500;   // octets

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

}  // namespace

std::size_t append_html_entity(std::string_view text, std::string& out) {
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

namespace {

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '&') {
      at += append_html_entity(text.substr(at), out);
    } else {
      out.push_back(text[at++]);
    }
  }
  return out;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }

bool starts_tag(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' || c == '!' || c == '?'; }

/// Reads tags; goes forward only.
class LinkReader {
 public:
  LinkReader(std::string_view html, std::size_t max) : html_(html), max_(max) {}

  std::vector<HtmlLink> read() {
    while (at_ < html_.size() && links_.size() < max_) {
      if (html_[at_] == '<') {
        tag();
        continue;
      }
      const auto end = std::min(html_.find('<', at_), html_.size());
      if (open_) add_text(html_.substr(at_, end - at_));
      at_ = end;
    }
    close();
    return std::move(links_);
  }

 private:
  void add_text(std::string_view text) {
    if (raw_text_.size() < kLongestText) raw_text_ += text.substr(0, kLongestText - raw_text_.size());
  }
  void close() {
    if (!open_) return;
    link_.text = trim(decoded(raw_text_));
    if (links_.size() < max_) links_.push_back(std::move(link_));
    link_ = {};
    raw_text_.clear();
    open_ = false;
  }
  void tag() {
    if (html_.substr(at_, 4) == "<!--") {
      const auto end = html_.find("-->", at_ + 4);
      at_ = end == std::string_view::npos ? html_.size() : end + 3;
      return;
    }
    ++at_;
    if (at_ < html_.size() && !starts_tag(html_[at_])) return;
    const auto start = at_;
    while (at_ < html_.size() && !is_space(html_[at_]) && html_[at_] != '>') ++at_;
    const auto name = html_.substr(start, at_ - start);
    if (iequals(name, "/a")) close();
    const bool link = iequals(name, "a") || iequals(name, "area");
    std::string_view href;
    while (at_ < html_.size() && html_[at_] != '>') attribute(href);
    if (at_ < html_.size()) ++at_;
    if (!link) return;
    close();
    if (href.empty()) return;
    link_.href = trim(decoded(href.substr(0, kLongestHref)));
    open_ = true;
  }
  /// At white space or an attribute; the first href goes to `href`.
  void attribute(std::string_view& href) {
    while (at_ < html_.size() && (is_space(html_[at_]) || html_[at_] == '/')) ++at_;
    const auto start = at_;
    while (at_ < html_.size() && !is_space(html_[at_]) && html_[at_] != '=' && html_[at_] != '>') ++at_;
    const auto name = html_.substr(start, at_ - start);
    while (at_ < html_.size() && is_space(html_[at_])) ++at_;
    if (at_ >= html_.size() || html_[at_] != '=') return;
    ++at_;
    while (at_ < html_.size() && is_space(html_[at_])) ++at_;
    if (at_ >= html_.size()) return;
    std::string_view value;
    if (const char quote = html_[at_]; quote == '"' || quote == '\'') {
      const auto end = std::min(html_.find(quote, at_ + 1), html_.size());
      value = html_.substr(at_ + 1, end - at_ - 1);
      at_ = std::min(end + 1, html_.size());
    } else {
      const auto from = at_;
      while (at_ < html_.size() && !is_space(html_[at_]) && html_[at_] != '>') ++at_;
      value = html_.substr(from, at_ - from);
    }
    if (href.empty() && iequals(name, "href")) href = value;
  }

  const std::string_view html_;
  const std::size_t max_;
  std::size_t at_ = 0;
  bool open_ = false;
  HtmlLink link_;
  std::string raw_text_;
  std::vector<HtmlLink> links_;
};

}  // namespace

std::vector<HtmlLink> html_links(std::string_view html, std::size_t max) { return LinkReader(html, max).read(); }

}  // namespace merpati::mime
