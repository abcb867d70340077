#include "filter/message_domains.hpp"

#include <libpsl.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "merpati/dns/domain_name.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kLongestHost = 255;
constexpr std::size_t kLongestUser = 200;  // octets before an "@" in the authority

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_host_character(char c) {
  return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

/// What stands behind "://": a host, perhaps with a user before it, which is what browsers see (RFC 3986 3.2).
std::string_view host_at(std::string_view rest) {
  rest = rest.substr(0, kLongestUser + kLongestHost);
  const auto authority = rest.substr(0, rest.find_first_of("/?#\\ \t\r\n\"'<>"));
  const auto at = authority.rfind('@');
  auto host = at == std::string_view::npos ? authority : authority.substr(at + 1);
  const auto end = std::ranges::find_if_not(host, is_host_character);
  host = host.substr(0, static_cast<std::size_t>(end - host.begin()));
  while (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

void add_host(std::string_view host, std::size_t max_domains, std::vector<std::string>& into) {
  if (host.empty() || into.size() >= max_domains) return;
  auto domain = registered_domain(host);
  if (!domain.empty() && std::ranges::find(into, domain) == into.end()) into.push_back(std::move(domain));
}

void visit(std::string_view message, const mime::Part& part, const DomainLimits& limits, std::size_t& left,
           std::vector<std::string>& into) {
  for (const auto& child : part.children) visit(message, child, limits, left, into);
  if (!part.children.empty() || part.type != "text" || left == 0) return;
  const auto encoding = mime::encoding_from_name(part.encoding).value_or(mime::Encoding::kIdentity);
  // Base64 needs 4 octets for 3.
  const auto raw = part.body.of(message).substr(0, left + left / 2);
  const auto decoded = mime::decode_transfer(encoding, raw);
  const auto text = std::string_view(decoded).substr(0, left);
  left -= text.size();
  add_domains(text, limits.max_domains, into);
}

}  // namespace

std::string registered_domain(std::string_view host) {
  boost::system::error_code failure;
  const auto address = boost::asio::ip::make_address(std::string(host), failure);
  if (!failure) return address.to_string();
  if (host.find('.') == std::string_view::npos) return {};
  const auto name = dns::to_ascii(host);
  if (!name) return {};
  static const psl_ctx_t* const kSuffixes = psl_builtin();
  const char* registered = kSuffixes == nullptr ? nullptr : psl_registrable_domain(kSuffixes, name->c_str());
  return registered == nullptr ? std::string() : registered;
}

void add_domains(std::string_view text, std::size_t max_domains, std::vector<std::string>& into) {
  for (std::size_t at = text.find("://"); at != std::string_view::npos; at = text.find("://", at + 3)) {
    if (at > 0 && is_alphanumeric(text[at - 1])) add_host(host_at(text.substr(at + 3)), max_domains, into);
    if (into.size() >= max_domains) return;
  }
  // Clients make links of these too.
  constexpr std::string_view kBare = "www.";
  for (std::size_t at = text.find(kBare); at != std::string_view::npos; at = text.find(kBare, at + kBare.size())) {
    if (at == 0 || !is_host_character(text[at - 1])) add_host(host_at(text.substr(at)), max_domains, into);
    if (into.size() >= max_domains) return;
  }
}

std::vector<std::string> domains_in(std::string_view message, const DomainLimits& limits) {
  const auto parts = mime::read_parts(message);
  std::vector<std::string> domains;
  std::size_t left = limits.max_text;
  visit(message, parts.root, limits, left, domains);
  return domains;
}

}  // namespace merpati::filter
