#include "merpati/mime/address.hpp"

#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {

bool is_wsp(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
// Where an atom stops. Everything else, 8-bit bytes and stray controls included, belongs to it.
bool ends_atom(char c) {
  switch (c) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
    case '(':
    case ')':
    case '<':
    case '>':
    case '[':
    case ']':
    case ':':
    case ';':
    case '@':
    case ',':
    case '"':
    case '\\':
    case '\0':
      return true;
    default:
      return false;
  }
}

void append_quoted(std::string_view text, std::size_t& at, char close, std::string& out) {
  for (++at; at < text.size() && text[at] != close; ++at) {
    if (text[at] == '\\' && at + 1 < text.size()) ++at;
    if (text[at] != '\r' && text[at] != '\n' && text[at] != '\0') out.push_back(text[at]);
  }
  if (at < text.size()) ++at;
}

class Reader {
 public:
  Reader(std::string_view text, std::vector<Address>& out, std::size_t max) : text_(text), out_(out), max_(max) {}

  void run() {
    while (out_.size() < max_) {
      comment_.clear();
      skip();
      if (at_ >= text_.size()) break;
      const char c = text_[at_];
      if (c == ',') {
        ++at_;
      } else if (c == ';') {
        ++at_;
        end_group();
      } else {
        read_address();
      }
    }
    end_group();
  }

 private:
  void skip() { skip_cfws(text_, at_, &comment_); }

  void end_group() {
    if (!in_group_) return;
    in_group_ = false;
    out_.emplace_back().kind = Address::Kind::kGroupEnd;
  }

  // Words and dots up to a delimiter, joined in two ways: as a phrase, where white space becomes one space, and as a
  // local part, where none stands around a dot.
  void read_words(std::string& phrase, std::string& local) {
    bool first = true;
    while (at_ < text_.size()) {
      const std::size_t before = at_;
      skip();
      if (at_ >= text_.size()) return;
      const bool spaced = at_ != before && !first;
      std::string word;
      if (text_[at_] == '"') {
        append_quoted(text_, at_, '"', word);
      } else {
        while (at_ < text_.size() && !ends_atom(text_[at_])) word.push_back(text_[at_++]);
        if (word.empty()) return;
      }
      if (spaced) {
        phrase.push_back(' ');
        if (word.front() != '.' && !local.ends_with('.')) local.push_back(' ');
      }
      phrase += word;
      local += word;
      first = false;
    }
  }

  void read_domain(std::string& host) {
    const std::size_t begin = host.size();
    while (at_ < text_.size()) {
      const std::size_t before = at_;
      skip();
      if (at_ >= text_.size()) return;
      // RFC 5322 4.4: white space only around dots. Another word starts another address.
      if (at_ != before && host.size() > begin && host.back() != '.' && text_[at_] != '.') return;
      if (text_[at_] == '[') {
        host.push_back('[');
        append_quoted(text_, at_, ']', host);
        host.push_back(']');
        continue;
      }
      const std::size_t start = at_;
      while (at_ < text_.size() && !ends_atom(text_[at_])) host.push_back(text_[at_++]);
      if (start == at_) return;
    }
  }

  void read_angle(Address& address) {
    ++at_;  // '<'
    skip();
    // RFC 5322 4.4 obs-route: "@a,@b:" before the address.
    if (at_ < text_.size() && text_[at_] == '@') {
      std::string route;
      while (at_ < text_.size() && (text_[at_] == '@' || text_[at_] == ',')) {
        if (text_[at_] == '@') {
          if (!route.empty()) route.push_back(',');
          route.push_back('@');
        }
        ++at_;
        read_domain(route);
        skip();
      }
      if (at_ < text_.size() && text_[at_] == ':') ++at_;
      address.route = std::move(route);
    }
    std::string phrase;
    read_words(phrase, address.mailbox);
    if (at_ < text_.size() && text_[at_] == '@') {
      ++at_;
      read_domain(address.host);
    }
    skip();
    if (at_ < text_.size() && text_[at_] == '>') {
      ++at_;
      return;
    }
    while (at_ < text_.size() && text_[at_] != '>' && text_[at_] != ',' && text_[at_] != ';') ++at_;
    if (at_ < text_.size() && text_[at_] == '>') ++at_;
  }

  void read_address() {
    const std::size_t start = at_;
    std::string phrase;
    Address address;
    read_words(phrase, address.mailbox);
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (c == '<') {
      address.mailbox.clear();
      address.name = std::move(phrase);
      read_angle(address);
      if (address.name.empty()) {
        comment_.clear();
        skip();
        address.name = comment_;
      }
      // "Name <a@b> junk": the rest up to the comma says nothing.
      skip();
      while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != ';') ++at_;
      if (address.mailbox.empty() && address.host.empty() && address.name.empty()) return;
      out_.push_back(std::move(address));
      return;
    }
    if (c == ':' && !in_group_) {
      ++at_;
      in_group_ = true;
      address = {};
      address.kind = Address::Kind::kGroupStart;
      address.name = std::move(phrase);
      out_.push_back(std::move(address));
      return;
    }
    if (c == '@') {
      ++at_;
      comment_.clear();
      read_domain(address.host);
    } else if (at_ == start) {
      ++at_;  // a delimiter that starts nothing
      return;
    }
    skip();
    address.name = comment_;
    // Several words without an address are somebody's name.
    if (address.host.empty() && c != '@' && phrase.find(' ') != std::string::npos) {
      address.name = std::move(phrase);
      address.mailbox.clear();
      out_.push_back(std::move(address));
      return;
    }
    if (address.mailbox.empty() && address.host.empty()) return;
    out_.push_back(std::move(address));
    // A second "@" or other junk before the comma belongs to this address.
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != ';' && text_[at_] != '<' && text_[at_] != '"' &&
           ends_atom(text_[at_])) {
      ++at_;
    }
  }

  std::string_view text_;
  std::vector<Address>& out_;
  std::size_t max_;
  std::size_t at_ = 0;
  std::string comment_;
  bool in_group_ = false;
};

}  // namespace

void skip_cfws(std::string_view text, std::size_t& at, std::string* comment) {
  while (at < text.size()) {
    if (is_wsp(text[at]) || text[at] == '\0') {
      ++at;
    } else if (text[at] == '(') {
      std::string inside;
      int depth = 0;
      for (; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '\\' && at + 1 < text.size()) {
          inside.push_back(text[++at]);
          continue;
        }
        if (c == '(' && depth++ == 0) continue;
        if (c == ')' && --depth == 0) {
          ++at;
          break;
        }
        if (c != '\r' && c != '\n' && c != '\0') inside.push_back(c);
      }
      if (comment) *comment = std::string(trim(inside));
    } else {
      return;
    }
  }
}

void parse_addresses(std::string_view value, std::vector<Address>& out, std::size_t max) {
  Reader(value, out, max).run();
}

std::vector<Address> parse_addresses(std::string_view value) {
  std::vector<Address> out;
  parse_addresses(value, out);
  return out;
}

std::string quoted_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c != '\r' && c != '\n') out += c;
  }
  return out + '"';
}

std::string to_addr_spec(const Address& address) {
  bool quote = address.mailbox.empty() || address.mailbox.front() == '.' || address.mailbox.back() == '.' ||
               address.mailbox.find("..") != std::string::npos;
  for (char c : address.mailbox) quote |= ends_atom(c);
  std::string out;
  if (quote) {
    out.push_back('"');
    for (char c : address.mailbox) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out.push_back('"');
  } else {
    out = address.mailbox;
  }
  if (!address.host.empty()) out.append("@").append(address.host);
  return out;
}

}  // namespace merpati::mime
