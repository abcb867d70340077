// A DKIM-Signature or ARC-Message-Signature as it stands in a header, and the digest that it signs. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"
#include "merpati/mailauth/canonical.hpp"
#include "merpati/mailauth/signing_key.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mailauth {

/// The fields of a header block; views into it.
std::vector<mime::Field> fields_of(std::string_view header_block);

struct Signature {
  enum class Kind : std::uint8_t { kDkim, kArcMessage };
  KeyType key_type = KeyType::kRsa;
  bool sha1 = false;  ///< rsa-sha1, which is refused (RFC 8301 3.1)
  std::string domain;
  std::string selector;
  std::string identity;  ///< i= of DKIM, "@domain" when missing
  std::string body_hash;
  std::string signature;
  std::string signature_text;  ///< b= in base64, its first characters name a signature (RFC 6008)
  Canonical header_canonical = Canonical::kSimple;
  Canonical body_canonical = Canonical::kSimple;
  std::vector<std::string> signed_fields;  ///< h=, lower case
  std::optional<std::uint64_t> body_limit;
  std::optional<std::int64_t> signed_at;
  std::optional<std::int64_t> expires_at;

  std::string algorithm() const;
};

/// kInvalidArgument: RFC 6376 6.1.1.
Result<Signature> parse_signature(std::string_view value, Signature::Kind kind);

/// SHA-256 of the signed fields and of the signature's own (RFC 6376 3.7, 5.4.2): `own_raw` has its b= emptied already.
std::string header_digest(const std::vector<mime::Field>& fields, const std::vector<std::string>& names,
                          Canonical canonical, std::string_view own_raw);

/// A key record (RFC 6376 3.6.1).
struct KeyRecord {
  KeyType type = KeyType::kRsa;
  std::string key;  ///< decoded p=; empty: revoked
  bool testing = false;
  bool strict_identity = false;  ///< t=s: i= must have the very domain
};
/// kInvalidArgument: not a key record for mail, for SHA-256.
Result<KeyRecord> parse_key_record(std::string_view text);

}  // namespace merpati::mailauth
