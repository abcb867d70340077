// DKIM (RFC 6376, 8301, 8463): which domains vouch for a message, and vouching for one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/clock.hpp"
#include "merpati/dns/resolver.hpp"
#include "merpati/mailauth/keys.hpp"
#include "merpati/mailauth/signature.hpp"
#include "merpati/mailauth/step.hpp"

namespace merpati::mailauth {

/// RFC 8601 2.7.1. kPolicy: it may verify, but is not acceptable here (weak key, a body that is signed in part).
enum class DkimResult : std::uint8_t { kNone, kPass, kFail, kPolicy, kNeutral, kTempError, kPermError };
std::string_view to_string(DkimResult result);

struct DkimLimits {
  std::size_t signatures = 10;            ///< the topmost are checked, of further ones only the number is known
  int min_rsa_bits = 1024;                ///< RFC 8301 3.2
  int max_rsa_bits = 8192;                ///< larger keys cost time that a stranger chooses
  std::chrono::seconds clock_skew{3600};  ///< of t= and x=
};

struct DkimSignature {
  DkimResult result = DkimResult::kNeutral;
  std::string domain;  ///< d=; empty when the field could not be read
  std::string selector;
  std::string identity;  ///< i=
  std::string algorithm;
  std::string signature;  ///< the first 8 characters of b= (RFC 6008)
  std::string problem;    ///< unless it passed
  bool testing = false;   ///< the key says t=y
  bool partial = false;   ///< l= is there
  int key_bits = 0;
  Steps steps;
};

struct DkimOutcome {
  std::vector<DkimSignature> signatures;  ///< from the top
  std::size_t ignored = 0;                ///< signatures beyond the limit
  DkimResult best() const;                ///< kNone without signatures
};

/// Verifies: reads the header, then is fed the body, then says which keys it needs, then checks.
class DkimVerifier {
 public:
  /// `header_block` outlives the verifier. Adds the body hashes that it needs to `hashes`.
  DkimVerifier(std::string_view header_block, BodyHashes& hashes, DkimLimits limits = {});
  /// After hashes.finish(): the keys of the signatures that nothing else speaks against.
  std::vector<std::string> key_names(const BodyHashes& hashes, WallTime now) const;
  /// With the answers for key_names(). Computes, does not wait.
  DkimOutcome check(const KeyAnswers& keys, const BodyHashes& hashes, WallTime now) const;
  /// Signatures that are checked.
  std::size_t signatures() const { return candidates_.size(); }

 private:
  struct Candidate {
    mime::Field field;
    Result<Signature> signature;
  };
  DkimLimits limits_;
  std::vector<mime::Field> fields_;
  std::vector<Candidate> candidates_;
  std::size_t ignored_ = 0;
};

/// The whole at once: a message in memory.
Task<DkimOutcome> verify_dkim(dns::Resolver& resolver, std::string_view message, WallTime now, Deadline deadline,
                              DkimLimits limits = {});

/// Shared with ARC: whether the key of `signature` is needed, or its result is known without.
bool needs_key(const Signature& signature, const BodyHashes& hashes, WallTime now, const DkimLimits& limits);
/// Checks one signature: `field` is where it stands among `fields`.
DkimSignature verify_signature(const KeyAnswers& keys, const Signature& signature, const mime::Field& field,
                               const std::vector<mime::Field>& fields, const BodyHashes& hashes, WallTime now,
                               const DkimLimits& limits);
/// Checks `signature` over `digest` with the key of d= and s=; the outcome goes to `out`.
void verify_digest(const KeyAnswers& keys, const Signature& signature, std::string_view digest,
                   const DkimLimits& limits, DkimSignature& out);

struct DkimSignOptions {
  std::string domain;
  std::string selector;
  std::string identity;  ///< i=; empty: left out
  Canonical header_canonical = Canonical::kRelaxed;
  Canonical body_canonical = Canonical::kRelaxed;
  std::vector<std::string> fields;  ///< to sign where they stand; empty: those that RFC 6376 5.4.1 advises
  std::vector<std::string> oversign = {"From", "Subject", "Date",
                                       "To"};  ///< named once more, so that none can be added
  WallTime now = WallTime::clock::now();
  std::chrono::seconds life{0};  ///< x= after t=; 0: no x=
};

/// The field "DKIM-Signature: ..." with CRLF, to put on top. `hashes` was asked for {body_canonical, all} and finished.
Result<std::string> sign_dkim(std::string_view header_block, const BodyHashes& hashes, const SigningKey& key,
                              const DkimSignOptions& options);
/// The whole at once.
Result<std::string> sign_dkim(std::string_view message, const SigningKey& key, const DkimSignOptions& options);

/// h= for signing: each name as often as it stands, then once more for `oversign`.
std::vector<std::string> names_to_sign(const std::vector<mime::Field>& fields, const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& oversign);
/// Base64 on folded lines of a header field.
std::string folded_base64(std::string_view bytes);

}  // namespace merpati::mailauth
