#include "merpati/smtp/address.hpp"

#include <boost/asio/ip/address.hpp>

namespace merpati::smtp {
namespace {

constexpr std::size_t kLongestLocal = 64;    // RFC 5321 4.5.3.1.1
constexpr std::size_t kLongestDomain = 255;  // RFC 5321 4.5.3.1.2
constexpr std::size_t kLongestPath = 256;    // RFC 5321 4.5.3.1.3, in octets with the brackets

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_high(char c) { return static_cast<unsigned char>(c) >= 0x80; }
// RFC 5322 3.2.3 atext
bool is_atext(char c) {
  return is_alnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// Walks over the text; every step says whether it fitted.
class Scanner {
 public:
  Scanner(std::string_view text, Utf8 utf8) : text_(text), utf8_(utf8 == Utf8::kYes) {}
  bool at_end() const { return at_ == text_.size(); }
  std::size_t position() const { return at_; }
  bool skip(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool local_part(std::string& out) {
    if (at_end()) return false;
    return text_[at_] == '"' ? quoted_string(out) : dot_string(out);
  }

  bool domain(std::string& out) {
    const auto start = at_;
    if (!(skip('[') ? literal() : host_name())) return false;
    out = text_.substr(start, at_ - start);
    return out.size() <= kLongestDomain;
  }

 private:
  bool is_text(char c) const { return is_atext(c) || (utf8_ && is_high(c)); }

  bool dot_string(std::string& out) {
    const auto start = at_;
    for (;;) {
      const auto atom = at_;
      while (!at_end() && is_text(text_[at_])) ++at_;
      if (at_ == atom) return false;  // empty atom: ".a", "a..b", "a."
      if (!skip('.')) break;
    }
    out = text_.substr(start, at_ - start);
    return true;
  }

  bool quoted_string(std::string& out) {
    skip('"');
    while (!at_end()) {
      char c = text_[at_++];
      if (c == '"') return true;
      if (c == '\\') {
        if (at_end()) return false;
        c = text_[at_++];
        if (c < 32 || c > 126) return false;  // quoted-pairSMTP
      } else if (!((c >= 32 && c <= 126) || (utf8_ && is_high(c)))) {
        return false;
      }
      out.push_back(c);
    }
    return false;
  }

  /// sub-domains of letters, digits and hyphens. Underscores are let through: such names exist and receive mail.
  bool host_name() {
    for (;;) {
      const auto label = at_;
      while (!at_end() &&
             (is_alnum(text_[at_]) || text_[at_] == '-' || text_[at_] == '_' || (utf8_ && is_high(text_[at_]))))
        ++at_;
      const auto length = at_ - label;
      if (length == 0 || (length > 63 && !utf8_) || text_[label] == '-' || text_[at_ - 1] == '-') return false;
      if (!skip('.')) return true;
    }
  }

  bool literal() {
    const auto end = text_.find(']', at_);
    if (end == std::string_view::npos) return false;
    auto inner = text_.substr(at_, end - at_);
    boost::system::error_code error;
    constexpr std::string_view kIpv6 = "ipv6:";
    // A scope ("%eth0", in whatever octets) is no part of RFC 5321 4.1.3, and Boost would take one.
    if (inner.find('%') != std::string_view::npos) return false;
    if (equals_ignoring_case(inner.substr(0, kIpv6.size()), kIpv6)) {
      boost::asio::ip::make_address_v6(std::string(inner.substr(kIpv6.size())), error);
    } else {
      boost::asio::ip::make_address_v4(std::string(inner), error);
    }
    at_ = end + 1;
    return !error;
  }

  std::string_view text_;
  bool utf8_;
  std::size_t at_ = 0;
};

bool scan_address(Scanner& scanner, Address& out) {
  return scanner.local_part(out.local) && out.local.size() <= kLongestLocal && scanner.skip('@') &&
         scanner.domain(out.domain);
}

bool is_dot_string(std::string_view local) {
  if (local.empty() || local.front() == '.' || local.back() == '.') return false;
  char before = 0;
  for (const char c : local) {
    if (c == '.' ? before == '.' : !(is_atext(c) || is_high(c))) return false;
    before = c;
  }
  return true;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const unsigned more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || i + more >= text.size()) return false;
    std::uint32_t point = lead & (0x3F >> more);
    for (unsigned k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      point = point << 6 | (next & 0x3F);
    }
    constexpr std::uint32_t kLowest[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLowest[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    i += more + 1;
  }
  return true;
}

std::string Address::str() const {
  std::string out;
  if (is_dot_string(local)) {
    out = local;
  } else {
    out.push_back('"');
    for (const char c : local) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out.push_back('"');
  }
  if (!domain.empty()) out.append("@").append(domain);
  return out;
}

bool Address::needs_utf8() const {
  for (const auto* part : {&local, &domain})
    for (const char c : *part)
      if (is_high(c)) return true;
  return false;
}

std::optional<Address> parse_address(std::string_view text, Utf8 utf8) {
  Scanner scanner(text, utf8);
  Address address;
  if (!scan_address(scanner, address) || !scanner.at_end() || !is_valid_utf8(text)) return std::nullopt;
  return address;
}

bool is_domain_or_literal(std::string_view text, Utf8 utf8) {
  Scanner scanner(text, utf8);
  std::string ignored;
  return scanner.domain(ignored) && scanner.at_end() && is_valid_utf8(text);
}

std::optional<Path> parse_path(std::string_view text, Utf8 utf8) {
  if (text.starts_with("<>")) return Path{std::nullopt, 2};
  // RFC 5321 4.1.1.3: <Postmaster> needs no domain.
  constexpr std::string_view kPostmaster = "<postmaster>";
  if (equals_ignoring_case(text.substr(0, kPostmaster.size()), kPostmaster))
    return Path{Address{std::string(text.substr(1, 10)), ""}, kPostmaster.size()};
  Scanner scanner(text, utf8);
  if (!scanner.skip('<')) return std::nullopt;
  while (scanner.skip('@')) {  // "@one,@two:user@three": the route is accepted and ignored
    std::string host;
    if (!scanner.domain(host)) return std::nullopt;
    if (scanner.skip(',')) continue;
    if (!scanner.skip(':')) return std::nullopt;
    break;
  }
  const auto start = scanner.position();
  Address address;
  if (!scan_address(scanner, address) || !scanner.skip('>')) return std::nullopt;
  if (scanner.position() - start > kLongestPath || !is_valid_utf8(text.substr(0, scanner.position())))
    return std::nullopt;
  return Path{std::move(address), scanner.position()};
}

}  // namespace merpati::smtp
