#include "merpati/mailauth/dmarc_destination.hpp"

#include <algorithm>

#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/dmarc.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {

constexpr std::size_t kLongestName = 253;
constexpr std::size_t kLongestLocal = 64;  // RFC 5321 4.5.3.1.1
constexpr std::string_view kMailto = "mailto:";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// RFC 3986 2.1.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

/// RFC 5322 3.2.3.
bool is_dot_atom(std::string_view text) {
  if (text.empty() || text.front() == '.' || text.back() == '.' || text.find("..") != text.npos) return false;
  return std::ranges::all_of(text, [](char c) {
    const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alnum || std::string_view(".!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
  });
}

bool is_below(std::string_view name, std::string_view domain) {
  return name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
}

/// Whether `host` belongs to the organization of `domain`. kUnavailable: DNS does not say.
Task<bool> same_organization(dns::Resolver& resolver, std::string domain, std::string host, Deadline deadline) {
  if (host == domain) co_return true;
  MERPATI_CO_TRY(const std::string organization,
                 co_await find_organizational_domain(resolver, std::move(domain), deadline));
  // What is not within it has another one, whatever it is.
  if (host != organization && !is_below(host, organization)) co_return false;
  MERPATI_CO_TRY(const std::string other, co_await find_organizational_domain(resolver, std::move(host), deadline));
  co_return other == organization;
}

VerifiedDestination refused(std::string why) { return {DestinationState::kRefused, {}, std::move(why)}; }
VerifiedDestination unknown(std::string why) { return {DestinationState::kUnknown, {}, std::move(why)}; }

}  // namespace

std::string_view to_string(DestinationState state) {
  switch (state) {
    case DestinationState::kOwn:
      return "own";
    case DestinationState::kConfirmed:
      return "confirmed";
    case DestinationState::kRefused:
      return "refused";
    case DestinationState::kUnknown:
      break;
  }
  return "unknown";
}

std::optional<ReportDestination> parse_report_uri(std::string_view uri) {
  if (uri.size() <= kMailto.size() || !mime::iequals(uri.substr(0, kMailto.size()), kMailto)) return std::nullopt;
  uri.remove_prefix(kMailto.size());
  const auto address = percent_decoded(uri.substr(0, uri.find('?')));
  if (!address) return std::nullopt;
  const auto at = address->rfind('@');
  if (at == std::string::npos || at > kLongestLocal) return std::nullopt;
  const std::string local = address->substr(0, at);
  const auto host = dns::to_ascii(std::string_view(*address).substr(at + 1));
  if (!is_dot_atom(local) || !host || host->empty()) return std::nullopt;
  return ReportDestination{local + "@" + *host, *host};
}

Task<VerifiedDestination> verify_destination(dns::Resolver& resolver, std::string policy_domain,
                                             ReportDestination wanted, Deadline deadline) {
  const auto own = co_await same_organization(resolver, policy_domain, wanted.host, deadline);
  if (own.has_error()) {
    if (own.error().code() == ErrorCode::kCancelled) co_return own.error();
    co_return unknown(own.error().message());
  }
  if (*own) co_return VerifiedDestination{DestinationState::kOwn, {wanted}, {}};
  const std::string name = policy_domain + "._report._dmarc." + wanted.host;
  if (name.size() > kLongestName) co_return refused("the name of the record that would confirm it is too long");
  MERPATI_CO_TRY(auto answer, co_await resolver.txt(name, deadline));
  if (answer.status == dns::Status::kTemporary || answer.status == dns::Status::kBogus)
    co_return unknown("TXT " + name + ": " + answer.reason);
  std::erase_if(answer.records, [](const std::string& record) { return !is_dmarc_record(record); });
  if (answer.records.empty()) co_return refused("TXT " + name + " does not confirm it");
  VerifiedDestination out{DestinationState::kConfirmed, {}, {}};
  for (const std::string& record : answer.records) {
    for (const std::string& uri : report_uris(record)) {
      auto instead = parse_report_uri(uri);
      if (!instead) continue;
      // RFC 9990 4: an override that leads to yet another host ends it for both.
      if (instead->host != wanted.host) co_return refused("TXT " + name + " leads to another host");
      const auto same = [&](const ReportDestination& other) { return other.address == instead->address; };
      if (std::ranges::none_of(out.to, same)) out.to.push_back(*std::move(instead));
    }
  }
  if (out.to.empty()) out.to.push_back(std::move(wanted));
  co_return out;
}

}  // namespace merpati::mailauth
