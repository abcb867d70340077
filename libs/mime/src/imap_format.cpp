#include "merpati/mime/imap_format.hpp"

#include <charconv>

namespace merpati::mime {
namespace {
constexpr std::string_view kMissingHost = "MISSING_DOMAIN";
constexpr std::string_view kMissingMailbox = "MISSING_MAILBOX";

void append_number(std::uint64_t value, std::string& out) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out.append(buffer, end);
}

void append_nstring(const std::optional<std::string>& text, std::string& out) {
  if (text)
    append_imap_string(*text, out);
  else
    out += "NIL";
}

void append_string_or_nil(std::string_view text, std::string& out) {
  if (text.empty())
    out += "NIL";
  else
    append_imap_string(text, out);
}

void append_address(const Address& address, std::string& out) {
  out.push_back('(');
  switch (address.kind) {
    case Address::Kind::kMailbox:
      append_string_or_nil(address.name, out);
      out.push_back(' ');
      append_string_or_nil(address.route, out);
      out.push_back(' ');
      // A host of NIL means group syntax, so what has none needs a stand-in.
      append_imap_string(address.mailbox.empty() ? kMissingMailbox : address.mailbox, out);
      out.push_back(' ');
      append_imap_string(address.host.empty() ? kMissingHost : address.host, out);
      break;
    case Address::Kind::kGroupStart:
      out += "NIL NIL ";
      append_imap_string(address.name, out);
      out += " NIL";
      break;
    case Address::Kind::kGroupEnd:
      out += "NIL NIL NIL NIL";
      break;
  }
  out.push_back(')');
}

void append_addresses(const std::vector<Address>& list, std::string& out) {
  if (list.empty()) {
    out += "NIL";
    return;
  }
  out.push_back('(');
  for (const Address& address : list) append_address(address, out);
  out.push_back(')');
}

void append_envelope(const Envelope& e, std::string& out) {
  out.push_back('(');
  append_nstring(e.date, out);
  out.push_back(' ');
  append_nstring(e.subject, out);
  for (const auto* list : {&e.from, e.sender.empty() ? &e.from : &e.sender, e.reply_to.empty() ? &e.from : &e.reply_to,
                           &e.to, &e.cc, &e.bcc}) {
    out.push_back(' ');
    append_addresses(*list, out);
  }
  out.push_back(' ');
  append_nstring(e.in_reply_to, out);
  out.push_back(' ');
  append_nstring(e.message_id, out);
  out.push_back(')');
}

void append_parameters(const Parameters& parameters, bool default_charset, std::string& out) {
  bool has_charset = false;
  bool first = true;
  for (const Parameter& p : parameters) {
    out += first ? "(" : " ";
    first = false;
    append_imap_string(p.name, out);
    out.push_back(' ');
    append_imap_string(p.value, out);
    has_charset |= p.name == "charset" || p.name == "charset*";
  }
  // RFC 2045 5.2: text without a charset is us-ascii.
  if (default_charset && !has_charset) {
    out += first ? "(" : " ";
    first = false;
    out += "\"charset\" \"us-ascii\"";
  }
  out += first ? "NIL" : ")";
}

void append_extension(const Part& part, std::string& out) {
  out.push_back(' ');
  if (part.disposition) {
    out.push_back('(');
    append_imap_string(part.disposition->type, out);
    out.push_back(' ');
    append_parameters(part.disposition->parameters, false, out);
    out.push_back(')');
  } else {
    out += "NIL";
  }
  out.push_back(' ');
  if (part.language.empty()) {
    out += "NIL";
  } else {
    for (std::size_t i = 0; i < part.language.size(); ++i) {
      out += i == 0 ? "(" : " ";
      append_imap_string(part.language[i], out);
    }
    out.push_back(')');
  }
  out.push_back(' ');
  append_nstring(part.location, out);
}

void append_part(const Part& part, bool extended, std::string& out) {
  out.push_back('(');
  if (part.is_multipart()) {
    for (const Part& child : part.children) append_part(child, extended, out);
    // The grammar wants at least one part.
    if (part.children.empty()) {
      out += extended ? R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL))"
                      : R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0))";
    }
    out.push_back(' ');
    append_imap_string(part.subtype, out);
    if (extended) {
      out.push_back(' ');
      append_parameters(part.parameters, false, out);
      append_extension(part, out);
    }
    out.push_back(')');
    return;
  }
  append_imap_string(part.type, out);
  out.push_back(' ');
  append_imap_string(part.subtype, out);
  out.push_back(' ');
  append_parameters(part.parameters, part.type == "text", out);
  out.push_back(' ');
  append_nstring(part.id, out);
  out.push_back(' ');
  append_nstring(part.description, out);
  out.push_back(' ');
  append_imap_string(part.encoding, out);
  out.push_back(' ');
  append_number(part.body.size, out);
  if (part.is_message() && !part.children.empty()) {
    out.push_back(' ');
    append_envelope(*part.envelope, out);
    out.push_back(' ');
    append_part(part.children.front(), extended, out);
  }
  if (part.type == "text" || part.is_message()) {
    out.push_back(' ');
    append_number(part.lines, out);
  }
  if (extended) {
    out.push_back(' ');
    append_nstring(part.md5, out);
    append_extension(part, out);
  }
  out.push_back(')');
}
}  // namespace

void append_imap_string(std::string_view text, std::string& out) {
  bool quoted = true;
  std::size_t nuls = 0;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    quoted &= byte < 0x80 && c != '\r' && c != '\n';
    nuls += byte == 0;
  }
  if (quoted) {
    out.push_back('"');
    for (char c : text) {
      if (c == '"' || c == '\\') out.push_back('\\');
      if (c != '\0') out.push_back(c);
    }
    out.push_back('"');
    return;
  }
  out.push_back('{');
  append_number(text.size() - nuls, out);
  out += "}\r\n";
  for (char c : text) {
    if (c != '\0') out.push_back(c);
  }
}

std::string render_envelope(const Envelope& envelope) {
  std::string out;
  append_envelope(envelope, out);
  return out;
}

std::string render_body(const Part& root) {
  std::string out;
  append_part(root, false, out);
  return out;
}

std::string render_bodystructure(const Part& root) {
  std::string out;
  append_part(root, true, out);
  return out;
}

}  // namespace merpati::mime
