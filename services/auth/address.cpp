#include "auth/address.hpp"

#include <unicode/idna.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <memory>

namespace merpati::auth {
namespace {

constexpr std::size_t kLongestLocal = 64;    // RFC 5321 4.5.3.1.1
constexpr std::size_t kLongestDomain = 253;  // RFC 1035 2.3.4, as text
constexpr std::size_t kLongestPassword = 1024;

Error bad(std::string_view what, std::string_view text) {
  std::string full = "not " + std::string(what) + ": \"" + std::string(text.substr(0, 320)) + "\"";
  return Error(ErrorCode::kInvalidArgument, full).with_public(full);
}

const icu::IDNA& idna() {
  static const std::unique_ptr<icu::IDNA> instance = [] {
    UErrorCode status = U_ZERO_ERROR;
    return std::unique_ptr<icu::IDNA>(
        icu::IDNA::createUTS46Instance(UIDNA_USE_STD3_RULES | UIDNA_NONTRANSITIONAL_TO_ASCII |
                                           UIDNA_NONTRANSITIONAL_TO_UNICODE | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ,
                                       status));
  }();
  return *instance;
}

std::optional<icu::UnicodeString> nfc(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* normalizer = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) return std::nullopt;
  const auto decoded = icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int>(text.size())));
  if (decoded.indexOf(static_cast<UChar32>(0xFFFD)) >= 0) return std::nullopt;  // it was no UTF-8
  auto normal = normalizer->normalize(decoded, status);
  if (U_FAILURE(status)) return std::nullopt;
  return normal;
}

std::string utf8(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

/// RFC 5321 4.1.2: a quoted string's content; nullopt when the quotes are wrong.
std::optional<std::string> unquoted(std::string_view local) {
  if (!local.starts_with('"')) return std::string(local);
  if (local.size() < 2 || !local.ends_with('"')) return std::nullopt;
  local = local.substr(1, local.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < local.size(); ++i) {
    if (local[i] == '"') return std::nullopt;
    if (local[i] == '\\' && ++i == local.size()) return std::nullopt;
    out += local[i];
  }
  return out;
}

}  // namespace

Result<std::string> parse_domain(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > 4 * kLongestDomain) return bad("a domain", text);
  icu::IDNAInfo info;
  UErrorCode status = U_ZERO_ERROR;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  idna().nameToASCII_UTF8(icu::StringPiece(text.data(), static_cast<int>(text.size())), sink, info, status);
  if (U_FAILURE(status) || info.hasErrors() || out.empty() || out.size() > kLongestDomain) return bad("a domain", text);
  return out;
}

std::string unicode_domain(std::string_view ascii) {
  icu::IDNAInfo info;
  UErrorCode status = U_ZERO_ERROR;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  idna().nameToUnicodeUTF8(icu::StringPiece(ascii.data(), static_cast<int>(ascii.size())), sink, info, status);
  return U_FAILURE(status) || info.hasErrors() ? std::string(ascii) : out;
}

Result<Address> parse_address(std::string_view text) {
  const auto at = text.rfind('@');
  if (at == std::string_view::npos || at == 0) return bad("an address", text);
  const auto raw = unquoted(text.substr(0, at));
  if (!raw || raw->empty() || raw->size() > kLongestLocal) return bad("an address", text);
  auto local = nfc(*raw);
  if (!local) return bad("an address", text);
  for (int i = 0; i < local->length(); i = local->moveIndex32(i, 1))
    if (u_iscntrl(local->char32At(i))) return bad("an address", text);
  Address out;
  out.local = utf8(local->toLower(icu::Locale::getRoot()));
  auto domain = parse_domain(text.substr(at + 1));
  if (domain.has_error()) return bad("an address", text);
  out.domain = *std::move(domain);
  return out;
}

std::optional<Subaddress> split_subaddress(std::string_view local, std::string_view separator) {
  if (separator.empty()) return std::nullopt;
  const auto at = local.find(separator);
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  return Subaddress{std::string(local.substr(0, at)), std::string(local.substr(at + separator.size()))};
}

Result<std::string> prepare_password(std::string_view password) {
  const auto wrong = [](const char* why) { return Error(ErrorCode::kInvalidArgument, why).with_public(why); };
  if (password.empty()) return wrong("the password is empty");
  if (password.size() > kLongestPassword) return wrong("the password is longer than 1024 octets");
  auto text = icu::UnicodeString::fromUTF8(icu::StringPiece(password.data(), static_cast<int>(password.size())));
  icu::UnicodeString mapped;
  for (int i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const auto c = text.char32At(i);
    if (c == 0xFFFD || u_iscntrl(c)) return wrong("the password has a control character or is not UTF-8");
    mapped.append(u_charType(c) == U_SPACE_SEPARATOR ? static_cast<UChar32>(' ') : c);  // RFC 8265 4.2.2, rule 2
  }
  UErrorCode status = U_ZERO_ERROR;
  const auto normal = icu::Normalizer2::getNFCInstance(status)->normalize(mapped, status);
  if (U_FAILURE(status)) return wrong("the password cannot be normalised");
  return utf8(normal);
}

}  // namespace merpati::auth
