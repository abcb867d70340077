#include "merpati/mailauth/signature.hpp"

#include <algorithm>
#include <map>

#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/tag_list.hpp"

namespace merpati::mailauth {
namespace {
Error bad(const std::string& text) { return Error(ErrorCode::kInvalidArgument, text); }

Result<void> read_algorithm(std::string_view name, Signature& out) {
  if (mime::iequals(name, "rsa-sha256")) return boost::system::in_place_value;
  if (mime::iequals(name, "ed25519-sha256")) {
    out.key_type = KeyType::kEd25519;
  } else if (mime::iequals(name, "rsa-sha1")) {
    out.sha1 = true;
  } else {
    return bad("unknown algorithm a=" + std::string(name.substr(0, 40)));
  }
  return boost::system::in_place_value;
}

Result<Canonical> read_canonical(std::string_view name) {
  if (mime::iequals(name, "simple")) return Canonical::kSimple;
  if (mime::iequals(name, "relaxed")) return Canonical::kRelaxed;
  return bad("unknown canonicalisation c=" + std::string(name.substr(0, 40)));
}

Result<void> read_numbers(const TagList& tags, Signature& out) {
  const auto number = [&](std::string_view tag, std::optional<std::int64_t>& to) {
    const auto text = tags.find(tag);
    if (!text) return true;
    to = parse_number(*text);
    return to.has_value();
  };
  std::optional<std::int64_t> limit;
  if (!number("l", limit) || !number("t", out.signed_at) || !number("x", out.expires_at)) {
    return bad("l=, t= or x= is no number");
  }
  if (limit) out.body_limit = static_cast<std::uint64_t>(*limit);
  // RFC 6376 3.5: x= must be after t=
  if (out.signed_at && out.expires_at && *out.expires_at <= *out.signed_at) return bad("x= is not after t=");
  return boost::system::in_place_value;
}

bool is_at_or_below(std::string_view name, std::string_view domain) {
  return name == domain || (name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.');
}

// RFC 6376 3.5, i=: its domain is d= or below.
Result<void> read_identity(const TagList& tags, Signature& out) {
  out.identity = without_space(tags.get("i", "@" + out.domain));
  const auto at = out.identity.rfind('@');
  if (at == std::string::npos) return bad("i= has no @");
  const auto domain = dns::to_ascii(std::string_view(out.identity).substr(at + 1));
  if (!domain || !is_at_or_below(*domain, out.domain)) return bad("i= is not within d=");
  out.identity.replace(at + 1, std::string::npos, *domain);
  return boost::system::in_place_value;
}

Result<void> read_dkim_tags(const TagList& tags, Signature& out) {
  if (tags.get("v") != "1") return bad("v= is not 1");
  const bool dns_txt = [&] {
    for (const auto method : split_list(tags.get("q", "dns/txt"), ':')) {
      if (mime::iequals(method, "dns/txt")) return true;
    }
    return false;
  }();
  if (!dns_txt) return bad("no method of q= is known");
  MERPATI_CHECK(read_identity(tags, out));
  if (std::find(out.signed_fields.begin(), out.signed_fields.end(), "from") == out.signed_fields.end()) {
    return bad("From is not signed");  // RFC 6376 6.1.1
  }
  return boost::system::in_place_value;
}
}  // namespace

std::vector<mime::Field> fields_of(std::string_view header_block) {
  std::vector<mime::Field> out;
  mime::FieldReader reader(header_block);
  for (mime::Field field; reader.next(field);) out.push_back(field);
  return out;
}

std::string Signature::algorithm() const {
  if (sha1) return "rsa-sha1";
  return key_type == KeyType::kRsa ? "rsa-sha256" : "ed25519-sha256";
}

Result<Signature> parse_signature(std::string_view value, Signature::Kind kind) {
  MERPATI_TRY(const auto tags, TagList::parse(value));
  for (const char* needed : {"a", "b", "bh", "d", "h", "s"}) {
    if (!tags.find(needed)) return bad("the tag " + std::string(needed) + "= is missing");
  }
  Signature out;
  MERPATI_CHECK(read_algorithm(tags.get("a"), out));
  const auto canonical = tags.get("c", "simple/simple");
  const auto slash = canonical.find('/');
  MERPATI_TRY(out.header_canonical, read_canonical(canonical.substr(0, slash)));
  MERPATI_TRY(out.body_canonical,
              read_canonical(slash == std::string_view::npos ? "simple" : canonical.substr(slash + 1)));
  const auto domain = dns::to_ascii(without_space(tags.get("d")));
  const auto selector = dns::to_ascii(without_space(tags.get("s")));
  if (!domain || !selector) return bad("d= or s= is no domain name");
  out.domain = *domain;
  out.selector = *selector;
  const auto hash = parse_base64(tags.get("bh"));
  const auto signature = parse_base64(tags.get("b"));
  if (!hash || !signature || signature->empty()) return bad("b= or bh= is not base64");
  out.body_hash = *hash;
  out.signature = *signature;
  out.signature_text = without_space(tags.get("b"));
  for (const auto name : split_list(tags.get("h"), ':')) {
    if (name.empty()) return bad("h= has an empty name");
    out.signed_fields.push_back(mime::to_lower(name));
  }
  MERPATI_CHECK(read_numbers(tags, out));
  out.identity = "@" + out.domain;
  if (kind == Signature::Kind::kDkim) MERPATI_CHECK(read_dkim_tags(tags, out));
  return out;
}

std::string header_digest(const std::vector<mime::Field>& fields, const std::vector<std::string>& names,
                          Canonical canonical, std::string_view own_raw) {
  std::map<std::string, std::vector<std::string_view>> wanted;
  for (const auto& name : names) wanted[name];
  for (const auto& field : fields) {
    const auto found = wanted.find(mime::to_lower(field.name));
    if (found != wanted.end()) found->second.push_back(field.raw);
  }
  Sha256 sha;
  for (const auto& name : names) {  // RFC 6376 5.4.2: from the bottom up; what is not there adds nothing
    auto& left = wanted[name];
    if (left.empty()) continue;
    sha.update(canonical_field(left.back(), canonical));
    left.pop_back();
  }
  std::string own = canonical_field(own_raw, canonical);
  own.resize(own.size() - 2);  // RFC 6376 3.7: without the final CRLF
  sha.update(own);
  return sha.finish();
}

Result<KeyRecord> parse_key_record(std::string_view text) {
  MERPATI_TRY(const auto tags, TagList::parse(text));
  if (tags.find("v") && (tags.get("v") != "DKIM1" || tags.tags()[0].first != "v")) return bad("v= is not DKIM1");
  if (!tags.find("p")) return bad("p= is missing");
  KeyRecord out;
  const auto type = tags.get("k", "rsa");
  if (mime::iequals(type, "ed25519"))
    out.type = KeyType::kEd25519;
  else if (!mime::iequals(type, "rsa"))
    return bad("unknown key type k=" + std::string(type.substr(0, 40)));
  const auto has = [](std::string_view list, auto... names) {
    for (const auto item : split_list(list, ':')) {
      if ((mime::iequals(item, names) || ...)) return true;
    }
    return false;
  };
  if (!has(tags.get("h", "sha256"), "sha256")) return bad("h= of the key does not allow sha256");
  if (!has(tags.get("s", "*"), "*", "email")) return bad("s= of the key does not allow mail");
  out.testing = has(tags.get("t"), "y");
  out.strict_identity = has(tags.get("t"), "s");
  const auto key = parse_base64(tags.get("p"));
  if (!key) return bad("p= is not base64");
  out.key = *key;
  return out;
}

}  // namespace merpati::mailauth
