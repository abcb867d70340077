#include <algorithm>

#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/dmarc.hpp"
#include "merpati/mailauth/tag_list.hpp"
#include "merpati/mime/address.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {
std::optional<DmarcPolicy> policy_of(std::string_view text) {
  for (const auto policy : {DmarcPolicy::kNone, DmarcPolicy::kQuarantine, DmarcPolicy::kReject}) {
    if (mime::iequals(text, to_string(policy))) return policy;
  }
  return std::nullopt;
}

// URIs of rua= and ruf=, at most ten; a size limit "!10m" of RFC 7489 6.2 is cut off, since reporters should ignore it
// (RFC 9989 4.8, obs-dmarc-uri).
std::vector<std::string> uris_of(std::string_view text) {
  std::vector<std::string> out;
  for (auto uri : split_list(text, ',')) {
    uri = uri.substr(0, uri.find('!'));
    const auto colon = uri.find(':');
    if (colon == 0 || colon == std::string_view::npos || colon + 1 == uri.size() || out.size() == 10) continue;
    out.emplace_back(uri);
  }
  return out;
}

// Case does not matter in names of tags here, and a broken tag must not hide the others.
std::vector<std::pair<std::string, std::string_view>> tags_of(std::string_view text) {
  std::vector<std::pair<std::string, std::string_view>> out;
  for (const auto tag : split_list(text.substr(0, 4096), ';')) {
    const auto equals = tag.find('=');
    if (equals == std::string_view::npos) continue;
    out.emplace_back(mime::to_lower(mime::trim(tag.substr(0, equals))), mime::trim(tag.substr(equals + 1)));
  }
  return out;
}

// RFC 9989 4.8: what is none of these is as if it were not there.
std::string failure_options_of(std::string_view text) {
  const std::string out = mime::to_lower(text);
  const bool good = !out.empty() && out.size() <= 7 && out.find_first_not_of("01ds:") == std::string::npos;
  return good ? out : "0";
}
}  // namespace

std::vector<std::string> report_uris(std::string_view record) {
  for (const auto& [tag, value] : tags_of(record)) {
    if (tag == "rua") return uris_of(value);
  }
  return {};
}

std::string_view to_string(DmarcPolicy policy) {
  switch (policy) {
    case DmarcPolicy::kQuarantine:
      return "quarantine";
    case DmarcPolicy::kReject:
      return "reject";
    default:
      return "none";
  }
}

bool is_dmarc_record(std::string_view text) {
  const auto tag = mime::trim(text.substr(0, text.find(';')));
  const auto equals = tag.find('=');
  return equals != std::string_view::npos && mime::iequals(mime::trim(tag.substr(0, equals)), "v") &&
         mime::trim(tag.substr(equals + 1)) == "DMARC1";
}

Result<DmarcRecord> parse_dmarc_record(std::string_view text) {
  if (!is_dmarc_record(text)) return Error(ErrorCode::kInvalidArgument, "does not start with v=DMARC1");
  const auto tags = tags_of(text);
  const auto find = [&](std::string_view name) -> std::optional<std::string_view> {
    for (const auto& [tag, value] : tags) {
      if (tag == name) return value;
    }
    return std::nullopt;
  };
  const auto is = [&](std::string_view name, std::string_view value) {
    return mime::iequals(find(name).value_or(""), value);
  };
  DmarcRecord out;
  out.aggregate_reports = uris_of(find("rua").value_or(""));
  out.failure_reports = uris_of(find("ruf").value_or(""));
  out.failure_options = failure_options_of(find("fo").value_or("0"));
  out.strict_dkim = is("adkim", "s");
  out.strict_spf = is("aspf", "s");
  out.testing = is("t", "y") || is("pct", "0");  // RFC 9989 A.6: t=y stands for what pct=0 was used for
  if (is("psd", "y")) out.psd = DmarcRecord::Psd::kYes;
  if (is("psd", "n")) out.psd = DmarcRecord::Psd::kNo;
  bool valid = true;
  const auto read = [&](std::string_view name) -> std::optional<DmarcPolicy> {
    const auto value = find(name);
    const auto policy = value ? policy_of(*value) : std::nullopt;
    if (value && !policy) valid = false;
    return policy;
  };
  const auto policy = read("p");
  out.subdomain_policy = read("sp");
  out.nonexistent_policy = read("np");
  if (!policy || !valid) {
    if (out.aggregate_reports.empty()) {
      return Error(ErrorCode::kInvalidArgument, "p=, sp= or np= is missing or not known, and there is no rua=");
    }
    out.subdomain_policy.reset();
    out.nonexistent_policy.reset();
  }
  out.policy = valid ? policy.value_or(DmarcPolicy::kNone) : DmarcPolicy::kNone;
  return out;
}

std::vector<std::string> author_domains(std::string_view header_block) {
  std::vector<std::string> out;
  mime::FieldReader reader(header_block);
  for (mime::Field field; reader.next(field);) {
    if (!mime::iequals(field.name, "From")) continue;
    std::vector<mime::Address> addresses;
    mime::parse_addresses(field.value, addresses, 200);
    for (const auto& address : addresses) {
      if (address.kind != mime::Address::Kind::kMailbox) continue;
      const auto domain = dns::to_ascii(address.host);
      if (domain && std::find(out.begin(), out.end(), *domain) == out.end()) out.push_back(*domain);
    }
  }
  return out;
}

std::vector<std::string> tree_walk(std::string_view domain) {
  std::vector<std::string> out{std::string(domain)};
  auto labels = std::count(domain.begin(), domain.end(), '.') + 1;
  const auto parent = [&] {
    const auto dot = domain.find('.');
    domain = dot == std::string_view::npos ? std::string_view() : domain.substr(dot + 1);
    --labels;
  };
  parent();
  while (labels > 7) parent();  // RFC 9989 4.10, step 4: from eight labels on, the next name has seven
  for (; labels > 0 && !domain.empty(); parent()) out.emplace_back(domain);
  return out;
}

}  // namespace merpati::mailauth
