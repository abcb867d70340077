// ARC (RFC 8617): what those who handled a message before us say that they saw, each sealed over the last.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/mailauth/dkim.hpp"

namespace merpati::mailauth {

enum class ArcResult : std::uint8_t { kNone, kPass, kFail, kTempError };
std::string_view to_string(ArcResult result);

/// One set (4.1): the three fields of an instance.
struct ArcSet {
  int instance = 0;
  std::string domain;  ///< d= of the seal
  std::string selector;
  std::string cv;       ///< of the seal
  std::string results;  ///< the ARC-Authentication-Results after "i=N;", on one line
  std::string problem;  ///< why its seal is not good; empty: it is
};

struct ArcOutcome {
  ArcResult result = ArcResult::kNone;  ///< 5.2; kTempError: a key could not be fetched, and nothing is broken so far
  std::string problem;
  std::vector<ArcSet> sets;  ///< by instance
  int newest = 0;            ///< the highest instance that any ARC field names, in a malformed chain, too; 0: none
  bool sealable = true;  ///< false: the chain was declared failed before (5.1) or is too long (4.2.1): nothing is added
  Steps steps;
};

/// Like DkimVerifier: reads the header, asks for body hashes, later checks.
class ArcVerifier {
 public:
  ArcVerifier(std::string_view header_block, BodyHashes& hashes, DkimLimits limits = {});
  std::vector<std::string> key_names(const BodyHashes& hashes, WallTime now) const;
  ArcOutcome check(const KeyAnswers& keys, const BodyHashes& hashes, WallTime now) const;
  std::size_t signatures() const { return sets_.empty() ? 0 : sets_.size() + 1; }

 private:
  struct Set {
    mime::Field results, message, seal;
    bool complete() const { return !results.raw.empty() && !message.raw.empty() && !seal.raw.empty(); }
  };
  std::string collect();
  void note_seal(int instance, std::string_view value);
  std::string broken_structure(ArcOutcome& out) const;
  std::string check_seals(const KeyAnswers& keys, ArcOutcome& out) const;

  DkimLimits limits_;
  std::vector<mime::Field> fields_;
  std::vector<Set> sets_;
  bool any_ = false;
  int newest_instance_ = 0;       ///< 51: out of range
  int newest_seal_ = 0;           ///< its instance
  bool declared_failed_ = false;  ///< by that seal
  std::string malformed_;
  Result<Signature> newest_ = Error(ErrorCode::kNotFound, "none");
};

/// Whether DMARC passed where a sealer of `trusted` got the message, with only such sealers between there and us: the
/// local policy of RFC 8617 7.2. `trusted` are A-labels.
bool vouched_for(const ArcOutcome& outcome, std::span<const std::string> trusted);

Task<ArcOutcome> verify_arc(dns::Resolver& resolver, std::string_view message, WallTime now, Deadline deadline,
                            DkimLimits limits = {});

struct ArcSealOptions {
  std::string domain;
  std::string selector;
  std::string authserv_id;
  std::string results;  ///< the methods of Authentication-Results, "spf=pass ...;\r\n dkim=pass ...", or "none"
  WallTime now = WallTime::clock::now();
};

/// The three fields to put on top (5.1). `before` is what verify found: kFailedPrecondition when it is not sealable. A
/// chain that failed or is malformed is sealed with cv=fail, over the own set alone (5.1.2).
/// `hashes` was asked for {kRelaxed, all} and finished.
Result<std::string> seal_arc(std::string_view header_block, const BodyHashes& hashes, const ArcOutcome& before,
                             const SigningKey& key, const ArcSealOptions& options);

}  // namespace merpati::mailauth
