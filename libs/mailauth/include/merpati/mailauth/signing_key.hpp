// Keys of DKIM and ARC: public ones from DNS, private ones from PEM (RFC 6376, 8301, 8463). OpenSSL does the work.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::mailauth {

enum class KeyType : std::uint8_t { kRsa, kEd25519 };

class PublicKey {
 public:
  /// Of a key record's p=, decoded: SubjectPublicKeyInfo or RSAPublicKey for RSA, 32 octets for Ed25519.
  static Result<PublicKey> parse(KeyType type, std::string_view bytes);
  int bits() const;
  /// `digest` is the SHA-256 of what was signed.
  bool verify(std::string_view digest, std::string_view signature) const;

 private:
  KeyType type_ = KeyType::kRsa;
  std::shared_ptr<void> key_;
};

class SigningKey {
 public:
  /// An RSA key of 1024 bits or more, or an Ed25519 key; the error says what to do.
  static Result<SigningKey> from_pem(std::string_view pem);
  KeyType type() const { return type_; }
  std::string_view algorithm() const { return type_ == KeyType::kRsa ? "rsa-sha256" : "ed25519-sha256"; }
  Result<std::string> sign(std::string_view digest) const;
  /// The TXT record that belongs below SELECTOR._domainkey.DOMAIN.
  std::string key_record() const;

 private:
  KeyType type_ = KeyType::kRsa;
  std::shared_ptr<void> key_;
};

}  // namespace merpati::mailauth
