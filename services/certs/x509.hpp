// Certificates and keys: what `merpati certs` makes and reads. Blocking, any thread.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::certs {

/// Seconds of Unix time.
using Time = std::chrono::sys_seconds;

/// PEM both.
struct KeyPair {
  std::string certificate;
  std::string key;
  bool operator==(const KeyPair&) const = default;
};

/// What a certificate shall say.
struct Subject {
  std::string common_name;
  std::string uri;  ///< spiffe://DOMAIN/SERVICE; empty: a server's certificate, which is of no use as a client
  std::set<std::string> dns_names;
};

/// What a certificate says.
struct CertificateView {
  Time not_before;
  Time not_after;
  std::set<std::string> uris;
  std::set<std::string> dns_names;
};

/// An authority that signs itself and nothing but leaves (RFC 5280 4.2.1.9, path length 0), on a new P-256 key.
Result<KeyPair> make_authority(Time now, std::chrono::seconds life);

/// A certificate of `authority`, on a new P-256 key; its life ends with the authority's at the latest.
Result<KeyPair> issue(const KeyPair& authority, const Subject& subject, Time now, std::chrono::seconds life);

/// kInvalidArgument when it is not a certificate.
Result<CertificateView> read_certificate(std::string_view pem);

/// The pair belongs together, and `authority` signed it.
bool is_of(const KeyPair& leaf, std::string_view authority);

/// The key belongs to the certificate.
bool matches(const KeyPair& pair);

}  // namespace merpati::certs
