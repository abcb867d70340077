#include "xml.hpp"

#include <charconv>

namespace merpati::objects {
namespace {

constexpr int kDeepest = 16;

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view rest) : rest_(rest) {}

  Result<XmlElement> document() {
    MERPATI_CHECK(skip_misc());
    MERPATI_TRY(auto root, element(0));
    MERPATI_CHECK(skip_misc());
    if (!rest_.empty()) return bad("text behind the root element");
    return root;
  }

 private:
  static Error bad(std::string_view what) { return Error(ErrorCode::kInternal, "malformed XML: " + std::string(what)); }
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  /// What stands before `end`, which is consumed too.
  Result<std::string_view> until(std::string_view end) {
    const auto at = rest_.find(end);
    if (at == std::string_view::npos) return bad("unterminated markup");
    const auto found = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return found;
  }
  void skip_space() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
  }
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

  /// Declarations and comments around the root element.
  Result<void> skip_misc() {
    take("\xEF\xBB\xBF");
    for (;;) {
      skip_space();
      if (take("<?")) {
        MERPATI_CHECK(until("?>"));
      } else if (take("<!--")) {
        MERPATI_CHECK(until("-->"));
      } else {
        return {};
      }
    }
  }

  Result<XmlElement> element(int depth) {
    if (depth > kDeepest) return bad("nested too deep");
    if (rest_.starts_with("<!")) return bad("a DTD is not accepted");
    if (!take("<")) return bad("an element was expected");
    XmlElement out;
    const auto name_end = rest_.find_first_of(" \t\r\n/>");
    if (name_end == 0 || name_end == std::string_view::npos) return bad("an element without a name");
    const auto name = rest_.substr(0, name_end);
    rest_.remove_prefix(name_end);
    out.name = name.substr(name.find(':') == std::string_view::npos ? 0 : name.find(':') + 1);
    MERPATI_TRY(const bool empty, attributes());
    if (empty) return out;
    for (;;) {
      const auto markup = rest_.find('<');
      if (markup == std::string_view::npos) return bad("an element is not closed");
      MERPATI_CHECK(append_text(out.text, rest_.substr(0, markup)));
      rest_.remove_prefix(markup);
      if (take("</")) {
        MERPATI_TRY(auto closing, until(">"));
        while (!closing.empty() && is_space(closing.back())) closing.remove_suffix(1);
        if (closing != name) return bad("a closing tag of another element");
        return out;
      }
      if (take("<!--")) {
        MERPATI_CHECK(until("-->"));
      } else if (take("<![CDATA[")) {
        MERPATI_TRY(const auto raw, until("]]>"));
        out.text += raw;
      } else {
        MERPATI_TRY(auto inner, element(depth + 1));
        out.children.push_back(std::move(inner));
      }
    }
  }

  /// Skips attributes and the tag's end; whether the tag was "<name/>".
  Result<bool> attributes() {
    char quote = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '>') {
        const bool empty = i > 0 && rest_[i - 1] == '/';
        rest_.remove_prefix(i + 1);
        return empty;
      }
    }
    return bad("a tag is not closed");
  }

  static Result<void> append_text(std::string& out, std::string_view text) {
    while (!text.empty()) {
      const auto at = text.find('&');
      out += text.substr(0, at);
      if (at == std::string_view::npos) break;
      text.remove_prefix(at + 1);
      const auto end = text.find(';');
      if (end == std::string_view::npos || end > 10) return bad("an entity is not closed");
      MERPATI_CHECK(append_entity(out, text.substr(0, end)));
      text.remove_prefix(end + 1);
    }
    return {};
  }

  static Result<void> append_entity(std::string& out, std::string_view name) {
    if (name == "amp") return out += '&', Result<void>();
    if (name == "lt") return out += '<', Result<void>();
    if (name == "gt") return out += '>', Result<void>();
    if (name == "quot") return out += '"', Result<void>();
    if (name == "apos") return out += '\'', Result<void>();
    if (!name.starts_with('#')) return bad("an unknown entity");
    name.remove_prefix(1);
    const bool hexadecimal = name.starts_with('x');
    if (hexadecimal) name.remove_prefix(1);
    unsigned code = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), code, hexadecimal ? 16 : 10);
    if (error != std::errc() || end != name.data() + name.size() || code == 0 || code > 0x10FFFF)
      return bad("an impossible character reference");
    append_utf8(out, code);
    return {};
  }

  std::string_view rest_;
};

}  // namespace

const XmlElement* XmlElement::child(std::string_view wanted) const {
  for (const auto& one : children)
    if (one.name == wanted) return &one;
  return nullptr;
}

std::string_view XmlElement::text_of(std::string_view wanted) const {
  const auto* found = child(wanted);
  return found ? std::string_view(found->text) : std::string_view();
}

Result<XmlElement> parse_xml(std::string_view document) { return Parser(document).document(); }

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace merpati::objects
