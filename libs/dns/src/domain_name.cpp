#include "merpati/dns/domain_name.hpp"

#include <unicode/uidna.h>

#include <memory>

namespace merpati::dns {
namespace {
struct IdnaClose {
  void operator()(UIDNA* idna) const { uidna_close(idna); }
};

const UIDNA* idna() {
  static const std::unique_ptr<UIDNA, IdnaClose> instance = [] {
    UErrorCode status = U_ZERO_ERROR;
    return std::unique_ptr<UIDNA, IdnaClose>(
        uidna_openUTS46(UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ, &status));
  }();
  return instance.get();
}

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  std::size_t label = 0;
  for (char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    // Underscores are no host names, but mail domains with them are seen.
    const bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!ok || ++label > 63) return false;
  }
  return label > 0;
}
}  // namespace

std::optional<std::string> to_ascii(std::string_view domain) {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (domain.size() > 1000) return std::nullopt;
  bool plain = true;
  std::string out(domain);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    plain &= static_cast<unsigned char>(c) < 0x80;
  }
  if (!plain) {
    char buffer[512];
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    UErrorCode status = U_ZERO_ERROR;
    const std::int32_t size = uidna_nameToASCII_UTF8(idna(), domain.data(), static_cast<std::int32_t>(domain.size()),
                                                     buffer, sizeof buffer, &info, &status);
    if (U_FAILURE(status) || info.errors != 0) return std::nullopt;
    out.assign(buffer, static_cast<std::size_t>(size));
  }
  if (!is_host_name(out)) return std::nullopt;
  return out;
}

}  // namespace merpati::dns
