// Small byte encodings that several libraries need: hex, base64 (RFC 4648), SHA-256, HMAC-SHA-256.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace merpati {

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);
std::string to_base64(std::string_view bytes);
/// Strict: padding required, no white space (RFC 4648 3.3).
std::optional<std::string> from_base64(std::string_view text);
std::string to_base64url(std::string_view bytes);  ///< without padding
std::optional<std::string> from_base64url(std::string_view text);

/// 32 raw bytes.
std::string sha256(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);
/// Cryptographically strong random bytes. Thread safe.
std::string random_bytes(std::size_t count);

/// SHA-256 over pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes);
  std::string finish();  ///< 32 raw bytes; the object is spent then

 private:
  void* context_;
};

}  // namespace merpati
