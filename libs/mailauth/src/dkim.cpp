#include "merpati/mailauth/dkim.hpp"

#include <algorithm>

namespace merpati::mailauth {
namespace {
DkimSignature& fail(DkimSignature& out, DkimResult result, std::string problem) {
  out.result = result;
  out.problem = std::move(problem);
  return out;
}

std::string text_of(const Signature& s) {
  return "a=" + s.algorithm() + " c=" + std::string(to_string(s.header_canonical)) + "/" +
         std::string(to_string(s.body_canonical)) + " d=" + s.domain + " s=" + s.selector;
}

// What can be said without DNS; false: `out` has the result.
bool acceptable(const Signature& signature, const BodyHashes& hashes, WallTime now, const DkimLimits& limits,
                DkimSignature& out) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  if (signature.sha1) {
    fail(out, DkimResult::kPolicy, "rsa-sha1 is not accepted");  // RFC 8301 3.1
  } else if (signature.expires_at && *signature.expires_at + limits.clock_skew.count() < seconds) {
    fail(out, DkimResult::kFail, "the signature has expired");
  } else if (signature.signed_at && *signature.signed_at > seconds + limits.clock_skew.count()) {
    fail(out, DkimResult::kFail, "the signature is from the future");
  } else if (const BodyHash* body = hashes.find(signature.body_canonical, signature.body_limit); body == nullptr) {
    fail(out, DkimResult::kPolicy, "too many different body hashes");
  } else if (signature.body_limit && *signature.body_limit > body->octets()) {
    fail(out, DkimResult::kPermError, "l= is larger than the body");  // RFC 6376 3.5
  } else if (body->hash() != signature.body_hash) {
    out.steps.push_back({"body hash", "differs"});
    fail(out, DkimResult::kFail, "the body was changed");
  } else {
    out.steps.push_back({"body hash", "equal"});
    return true;
  }
  return false;
}
}  // namespace

std::string_view to_string(DkimResult result) {
  switch (result) {
    case DkimResult::kNone:
      return "none";
    case DkimResult::kPass:
      return "pass";
    case DkimResult::kFail:
      return "fail";
    case DkimResult::kPolicy:
      return "policy";
    case DkimResult::kNeutral:
      return "neutral";
    case DkimResult::kTempError:
      return "temperror";
    case DkimResult::kPermError:
      return "permerror";
  }
  return "none";
}

DkimResult DkimOutcome::best() const {
  DkimResult out = DkimResult::kNone;
  const auto rank = [](DkimResult r) {
    constexpr DkimResult kOrder[] = {DkimResult::kNone,      DkimResult::kNeutral, DkimResult::kPolicy,
                                     DkimResult::kPermError, DkimResult::kFail,    DkimResult::kTempError,
                                     DkimResult::kPass};
    return std::find(std::begin(kOrder), std::end(kOrder), r) - std::begin(kOrder);
  };
  for (const auto& signature : signatures) {
    if (rank(signature.result) > rank(out)) out = signature.result;
  }
  return out;
}

DkimVerifier::DkimVerifier(std::string_view header_block, BodyHashes& hashes, DkimLimits limits)
    : limits_(limits), fields_(fields_of(header_block)) {
  for (const auto& field : fields_) {
    if (!mime::iequals(field.name, "DKIM-Signature")) continue;
    if (candidates_.size() == limits_.signatures) {
      ++ignored_;
      continue;
    }
    candidates_.push_back({field, parse_signature(field.value, Signature::Kind::kDkim)});
    const auto& signature = candidates_.back().signature;
    if (signature.has_value()) hashes.add(signature->body_canonical, signature->body_limit);
  }
}

bool needs_key(const Signature& signature, const BodyHashes& hashes, WallTime now, const DkimLimits& limits) {
  DkimSignature ignored;
  return acceptable(signature, hashes, now, limits, ignored);
}

void verify_digest(const KeyAnswers& keys, const Signature& signature, std::string_view digest,
                   const DkimLimits& limits, DkimSignature& out) {
  const std::string name = key_name(signature.selector, signature.domain);
  const auto known = keys.records.find(name);
  if (known == keys.records.end()) {
    fail(out, DkimResult::kTempError, "the key was not fetched");
    return;
  }
  const auto& answer = known->second;
  out.steps.push_back({"TXT " + name, std::string(dns::to_string(answer.status))});
  if (answer.status == dns::Status::kTemporary || answer.status == dns::Status::kBogus) {
    fail(out, DkimResult::kTempError, "the key cannot be fetched: " + answer.reason);
    return;
  }
  fail(out, DkimResult::kPermError, "there is no key " + name);
  std::size_t tried = 0;
  // RFC 6376 6.1.2: with several records the choice is ours; the first that fits counts.
  for (const auto& text : answer.records) {
    if (tried++ == 4) break;
    const auto record = parse_key_record(text);
    if (record.has_error()) {
      fail(out, DkimResult::kPermError, "the key record: " + record.error().message());
      continue;
    }
    out.testing = record->testing;
    if (record->key.empty()) {
      fail(out, DkimResult::kPermError, "the key is revoked");
      break;
    }
    if (record->type != signature.key_type) {
      fail(out, DkimResult::kPermError, "the key is of another type than a=");
      continue;
    }
    if (record->strict_identity && !signature.identity.ends_with("@" + signature.domain)) {
      fail(out, DkimResult::kPermError, "the key does not allow subdomains in i=");
      break;
    }
    const auto key = keys.known != nullptr ? keys.known->get(record->type, record->key)
                                           : PublicKey::parse(record->type, record->key);
    if (key.has_error()) {
      fail(out, DkimResult::kPermError, key.error().message());
      continue;
    }
    out.key_bits = key->bits();
    if (record->type == KeyType::kRsa && (out.key_bits < limits.min_rsa_bits || out.key_bits > limits.max_rsa_bits)) {
      fail(out, DkimResult::kPolicy, "RSA keys of " + std::to_string(out.key_bits) + " bits are not accepted");
      break;
    }
    if (key->verify(digest, signature.signature))
      fail(out, DkimResult::kPass, "");
    else
      fail(out, DkimResult::kFail, "the signature does not verify");
    break;
  }
  out.steps.push_back({"signature", out.problem.empty() ? "verifies" : out.problem});
}

DkimSignature verify_signature(const KeyAnswers& keys, const Signature& signature, const mime::Field& field,
                               const std::vector<mime::Field>& fields, const BodyHashes& hashes, WallTime now,
                               const DkimLimits& limits) {
  DkimSignature out;
  out.domain = signature.domain;
  out.selector = signature.selector;
  out.identity = signature.identity;
  out.algorithm = signature.algorithm();
  out.signature = signature.signature_text.substr(0, 8);
  out.partial = signature.body_limit.has_value();
  out.steps.push_back({"signature", text_of(signature)});
  if (!acceptable(signature, hashes, now, limits, out)) return out;
  const std::string digest =
      header_digest(fields, signature.signed_fields, signature.header_canonical, without_signature(field.raw));
  verify_digest(keys, signature, digest, limits, out);
  const BodyHash* body = hashes.find(signature.body_canonical, signature.body_limit);
  // RFC 6376 8.2: what stands behind the signed part is anybody's.
  if (out.result == DkimResult::kPass && signature.body_limit && *signature.body_limit < body->octets()) {
    fail(out, DkimResult::kPolicy, "l= leaves a part of the body unsigned");
  }
  return out;
}

std::vector<std::string> DkimVerifier::key_names(const BodyHashes& hashes, WallTime now) const {
  std::vector<std::string> out;
  for (const auto& candidate : candidates_) {
    if (candidate.signature.has_error() || !needs_key(*candidate.signature, hashes, now, limits_)) continue;
    out.push_back(key_name(candidate.signature->selector, candidate.signature->domain));
  }
  return out;
}

DkimOutcome DkimVerifier::check(const KeyAnswers& keys, const BodyHashes& hashes, WallTime now) const {
  DkimOutcome out;
  out.ignored = ignored_;
  for (const auto& candidate : candidates_) {
    DkimSignature one;
    if (candidate.signature.has_error())
      fail(one, DkimResult::kNeutral, candidate.signature.error().message());
    else
      one = verify_signature(keys, *candidate.signature, candidate.field, fields_, hashes, now, limits_);
    out.signatures.push_back(std::move(one));
  }
  return out;
}

Task<DkimOutcome> verify_dkim(dns::Resolver& resolver, std::string_view message, WallTime now, Deadline deadline,
                              DkimLimits limits) {
  const auto size = mime::header_block_size(message);
  BodyHashes hashes;
  const DkimVerifier verifier(message.substr(0, size), hashes, limits);
  hashes.update(message.substr(size));
  hashes.finish();
  KeyAnswers keys;
  MERPATI_CO_CHECK(co_await fetch_keys(resolver, verifier.key_names(hashes, now), deadline, keys));
  co_return verifier.check(keys, hashes, now);
}

}  // namespace merpati::mailauth
