// Canonicalisation of DKIM (RFC 6376 3.4): the octets that a signature covers. A lone LF counts as a line's end, a lone
// CR as an octet, so that broken line ends neither fail where a relay mended them nor hide anything.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "merpati/base/encoding.hpp"

namespace merpati::mailauth {

enum class Canonical : std::uint8_t { kSimple, kRelaxed };
std::string_view to_string(Canonical canonical);

/// One header field (with its line end) in canonical form, CRLF at its end (3.4.1, 3.4.2).
std::string canonical_field(std::string_view raw, Canonical canonical);
/// The field with the value of its b= tag emptied (3.5), line end kept.
std::string without_signature(std::string_view raw);

/// SHA-256 of a canonical body, fed in pieces.
class BodyHash {
 public:
  /// `limit`: of canonical octets (l=); nothing: all.
  BodyHash(Canonical canonical, std::optional<std::uint64_t> limit);
  void update(std::string_view bytes);
  /// Once, at the end.
  const std::string& finish();
  const std::string& hash() const { return hash_; }
  std::uint64_t octets() const { return octets_; }  ///< of the canonical body, hashed or not

 private:
  void text(std::string_view bytes);
  void end_line();
  void put(std::string_view bytes);
  void flush();

  Canonical canonical_;
  std::optional<std::uint64_t> limit_;
  Sha256 sha_;
  std::string buffer_;
  std::string hash_;
  std::uint64_t octets_ = 0;
  std::uint64_t empty_lines_ = 0;
  bool line_has_text_ = false;
  bool space_ = false;
  bool cr_ = false;
};

/// The distinct body hashes that a message's signatures need, each computed once while the body streams by.
class BodyHashes {
 public:
  /// Asks for a hash; at most 20 distinct ones. False: too many.
  bool add(Canonical canonical, std::optional<std::uint64_t> limit);
  void update(std::string_view bytes);
  void finish();
  /// After finish(); null when it was not asked for.
  const BodyHash* find(Canonical canonical, std::optional<std::uint64_t> limit) const;
  std::size_t size() const { return hashes_.size(); }

 private:
  std::map<std::pair<Canonical, std::optional<std::uint64_t>>, std::unique_ptr<BodyHash>> hashes_;
};

}  // namespace merpati::mailauth
