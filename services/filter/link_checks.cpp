#include "filter/link_checks.hpp"

#include <libpsl.h>
#include <unicode/uidna.h>
#include <unicode/uscript.h>
#include <unicode/uspoof.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cctype>

#include "filter/message_domains.hpp"
#include "filter/printable.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/html.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kMostLinks = 500;   // of one message
constexpr std::size_t kLongestUrl = 500;  // octets that are looked at in a text
constexpr std::size_t kLongestHost = 255;
constexpr std::size_t kMostDetail = 200;  // octets

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f'); }
std::string_view last_label(std::string_view host) { return host.substr(host.rfind('.') + 1); }

/// WHATWG URL "ends in a number": then the whole host is an IPv4 address, however it is written.
bool is_number(std::string_view label) {
  if (label.empty()) return false;
  if (label.size() > 1 && label[0] == '0' && (label[1] | 32) == 'x')
    return std::ranges::all_of(label.substr(2), is_hex_digit);
  return std::ranges::all_of(label, is_digit);
}

std::string to_unicode(std::string_view host) {
  UErrorCode status = U_ZERO_ERROR;
  static const UIDNA* const kIdna = uidna_openUTS46(UIDNA_NONTRANSITIONAL_TO_UNICODE, &status);
  if (kIdna == nullptr) return std::string(host);
  std::string out(kLongestHost * 4, '\0');
  UIDNAInfo info = UIDNA_INFO_INITIALIZER;
  status = U_ZERO_ERROR;
  const auto size = uidna_nameToUnicodeUTF8(kIdna, host.data(), static_cast<std::int32_t>(host.size()), out.data(),
                                            static_cast<std::int32_t>(out.size()), &info, &status);
  if (U_FAILURE(status)) return std::string(host);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

const USpoofChecker* spoof_checker() {
  static const USpoofChecker* const kChecker = [] {
    UErrorCode status = U_ZERO_ERROR;
    USpoofChecker* checker = uspoof_open(&status);
    if (U_FAILURE(status)) return static_cast<USpoofChecker*>(nullptr);
    uspoof_setChecks(checker, USPOOF_RESTRICTION_LEVEL, &status);
    uspoof_setRestrictionLevel(checker, USPOOF_HIGHLY_RESTRICTIVE);
    return checker;
  }();
  return kChecker;
}

/// In UTF-8.
bool mixes_scripts(std::string_view label) {
  UErrorCode status = U_ZERO_ERROR;
  const auto failed =
      uspoof_check2UTF8(spoof_checker(), label.data(), static_cast<std::int32_t>(label.size()), nullptr, &status);
  return U_SUCCESS(status) && (failed & USPOOF_RESTRICTION_LEVEL) != 0;
}

bool has_latin_letters(std::string_view text) {
  const auto* octets = reinterpret_cast<const std::uint8_t*>(text.data());
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t at = 0; at < size;) {
    UChar32 c = 0;
    U8_NEXT(octets, at, size, c);
    UErrorCode status = U_ZERO_ERROR;
    if (c >= 0 && uscript_getScript(c, &status) == USCRIPT_LATIN) return true;
  }
  return false;
}

bool looks_like_ascii(std::string_view label) {
  if (has_latin_letters(label)) return false;
  UErrorCode status = U_ZERO_ERROR;
  std::string skeleton(kLongestHost * 4, '\0');
  const auto size = uspoof_getSkeletonUTF8(spoof_checker(), 0, label.data(), static_cast<std::int32_t>(label.size()),
                                           skeleton.data(), static_cast<std::int32_t>(skeleton.size()), &status);
  if (U_FAILURE(status)) return false;
  skeleton.resize(static_cast<std::size_t>(size));
  return mime::is_ascii(skeleton);
}

/// Of a top-level domain that there is: "report.pdf" is none.
bool is_known_suffix(std::string_view label) {
  static const psl_ctx_t* const kSuffixes = psl_builtin();
  return kSuffixes != nullptr &&
         psl_is_public_suffix2(kSuffixes, mime::to_lower(label).c_str(), PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE) != 0;
}

/// The host that a link's text shows; empty: it shows none.
std::string_view shown_host(std::string_view text) {
  if (const auto url = parse_web_url(text)) return url->host;
  if (text.find_first_of(" \t\r\n@") != std::string_view::npos) return {};
  auto host = text.substr(0, text.find_first_of("/?#:"));
  while (host.ends_with('.')) host.remove_suffix(1);
  return host.find('.') != std::string_view::npos && is_known_suffix(last_label(host)) ? host : std::string_view();
}

}  // namespace

std::optional<UrlAuthority> parse_web_url(std::string_view url) {
  const auto colon = url.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  if (!mime::iequals(url.substr(0, colon), "http") && !mime::iequals(url.substr(0, colon), "https"))
    return std::nullopt;
  auto rest = url.substr(colon + 1);
  const auto slashes = rest.find_first_not_of("/\\");
  if (slashes == 0 || slashes == std::string_view::npos) return std::nullopt;
  rest.remove_prefix(slashes);
  rest = rest.substr(0, rest.find_first_of("/?#\\ \t\r\n\"'<>"));
  UrlAuthority authority;
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    authority.userinfo = rest.substr(0, at);
    authority.has_userinfo = true;
    rest.remove_prefix(at + 1);
  }
  if (rest.starts_with('['))
    rest = rest.substr(1, rest.find(']') == std::string_view::npos ? rest.npos : rest.find(']') - 1);
  else
    rest = rest.substr(0, rest.find(':'));
  while (rest.ends_with('.')) rest.remove_suffix(1);
  authority.host = rest.substr(0, kLongestHost);
  return authority;
}

HostTrick host_trick(std::string_view host) {
  boost::system::error_code no_address;
  boost::asio::ip::make_address(std::string(host), no_address);
  if (!no_address) return HostTrick::kAddress;
  if (is_number(last_label(host))) return HostTrick::kObfuscatedAddress;
  if (mime::is_ascii(host) && mime::to_lower(host).find("xn--") == std::string::npos) return HostTrick::kNone;
  if (spoof_checker() == nullptr) return HostTrick::kNone;
  const std::string name = to_unicode(host);
  const bool ascii_suffix = mime::is_ascii(last_label(name));
  for (std::string_view rest = name; !rest.empty();) {
    const auto label = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(rest.size(), label.size() + 1));
    if (mime::is_ascii(label)) continue;
    if (mixes_scripts(label)) return HostTrick::kMixedScripts;
    if (ascii_suffix && looks_like_ascii(label)) return HostTrick::kConfusable;
  }
  return HostTrick::kNone;
}

void LinkChecks::add(const char* symbol, double score, std::string_view detail) {
  if (std::ranges::find(symbols_, symbol, &Symbol::name) == symbols_.end())
    symbols_.push_back({symbol, score, printable(detail, kMostDetail)});
}

void LinkChecks::check(std::string_view url) {
  const auto authority = parse_web_url(url);
  if (!authority || checked_ >= kMostLinks) return;
  ++checked_;
  if (authority->has_userinfo) add("URL_USERINFO", 3, url);
  switch (host_trick(authority->host)) {
    case HostTrick::kAddress:
      return add("URL_ADDRESS", 1.5, authority->host);
    case HostTrick::kObfuscatedAddress:
      return add("URL_OBFUSCATED_ADDRESS", 4, authority->host);
    case HostTrick::kMixedScripts:
      return add("URL_MIXED_SCRIPTS", 3, authority->host);
    case HostTrick::kConfusable:
      return add("URL_CONFUSABLE", 3, authority->host);
    case HostTrick::kNone:
      return;
  }
}

void LinkChecks::check_shown(std::string_view href, std::string_view text) {
  const auto leads_to = parse_web_url(href);
  const auto shows = shown_host(text);
  if (!leads_to || shows.empty()) return;
  const auto shown = registered_domain(shows);
  const auto real = registered_domain(leads_to->host);
  if (shown.empty() || real.empty() || shown == real || sender_domains_.contains(shown)) return;
  add("URL_TEXT_MISMATCH", 2.5, std::string(shows) + " leads to " + std::string(leads_to->host));
}

void LinkChecks::add_text(std::string_view text) {
  for (auto at = text.find("://"); at != std::string_view::npos; at = text.find("://", at + 3)) {
    auto start = at;
    while (start > 0 && at - start < 5 && std::isalpha(static_cast<unsigned char>(text[start - 1])) != 0) --start;
    const auto url = text.substr(start, kLongestUrl);
    check(url.substr(0, url.find_first_of(" \t\r\n<>\"")));
  }
}

void LinkChecks::add_html(std::string_view html) {
  for (const auto& link : mime::html_links(html, kMostLinks)) {
    check(link.href);
    check_shown(link.href, link.text);
  }
}

}  // namespace merpati::filter
