#include "merpati/mailauth/arc.hpp"

#include <algorithm>

#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/authentication_results.hpp"
#include "merpati/mailauth/tag_list.hpp"

namespace merpati::mailauth {
namespace {
constexpr int kMaxInstance = 50;  // RFC 8617 4.2.1

// 0 when it is none, kMaxInstance + 1 for all that are too large.
int instance_from(std::string_view text) {
  const auto number = parse_number(text);
  return number && *number >= 1 ? static_cast<int>(std::min<long long>(*number, kMaxInstance + 1)) : 0;
}

// "i=N" in front of an ARC field's value.
int instance_of(std::string_view value) {
  const auto first = mime::trim(value.substr(0, value.find(';')));
  const auto equals = first.find('=');
  if (equals == std::string_view::npos || mime::trim(first.substr(0, equals)) != "i") return 0;
  return instance_from(mime::trim(first.substr(equals + 1)));
}

// The instance of AMS and AS may stand at any place of the tag list.
int tagged_instance(std::string_view value) {
  const auto tags = TagList::parse(value);
  return tags.has_error() ? instance_of(value) : instance_from(tags->get("i"));
}

Result<Signature> parse_seal(std::string_view value, std::string& cv) {
  MERPATI_TRY(const auto tags, TagList::parse(value));
  const auto bad = [](const char* text) { return Error(ErrorCode::kInvalidArgument, text); };
  // RFC 8617 4.1.3
  if (tags.find("h")) return bad("a seal must not have h=");
  for (const char* needed : {"i", "a", "b", "cv", "d", "s"}) {
    if (!tags.find(needed))
      return Error(ErrorCode::kInvalidArgument, "the tag " + std::string(needed) + "= is missing");
  }
  Signature out;
  const auto algorithm = tags.get("a");
  if (mime::iequals(algorithm, "ed25519-sha256"))
    out.key_type = KeyType::kEd25519;
  else if (!mime::iequals(algorithm, "rsa-sha256"))
    return bad("the algorithm is not accepted");
  const auto domain = dns::to_ascii(without_space(tags.get("d")));
  const auto selector = dns::to_ascii(without_space(tags.get("s")));
  const auto signature = parse_base64(tags.get("b"));
  if (!domain || !selector || !signature || signature->empty()) return bad("d=, s= or b= is wrong");
  out.domain = *domain;
  out.selector = *selector;
  out.identity = "@" + *domain;
  out.signature = *signature;
  cv = mime::to_lower(tags.get("cv"));
  return out;
}

std::string seal_digest(const std::string& before, std::string_view own_raw) {
  std::string own = canonical_field(own_raw, Canonical::kRelaxed);
  own.resize(own.size() - 2);
  return sha256(before + own);
}
}  // namespace

std::string_view to_string(ArcResult result) {
  switch (result) {
    case ArcResult::kNone:
      return "none";
    case ArcResult::kPass:
      return "pass";
    case ArcResult::kFail:
      return "fail";
    case ArcResult::kTempError:
      return "temperror";
  }
  return "none";
}

ArcVerifier::ArcVerifier(std::string_view header_block, BodyHashes& hashes, DkimLimits limits)
    : limits_(limits), fields_(fields_of(header_block)) {
  malformed_ = collect();
  if (!any_ || !malformed_.empty()) return;
  newest_ = parse_signature(sets_.back().message.value, Signature::Kind::kArcMessage);
  if (newest_.has_value()) hashes.add(newest_->body_canonical, newest_->body_limit);
}

// RFC 8617 5.1: what the most recent seal says decides whether another one may follow.
void ArcVerifier::note_seal(int instance, std::string_view value) {
  if (instance < newest_seal_) return;
  const auto tags = TagList::parse(value);
  const bool failed = tags.has_value() && mime::iequals(tags->get("cv"), "fail");
  declared_failed_ = failed || (declared_failed_ && instance == newest_seal_);
  newest_seal_ = instance;
}

// RFC 8617 5.2, steps 1 and 3: what makes the structure invalid; empty when it is well-formed.
std::string ArcVerifier::collect() {
  std::string malformed;
  const auto note = [&](std::string why) {
    if (malformed.empty()) malformed = std::move(why);
  };
  for (const auto& field : fields_) {
    const bool results = mime::iequals(field.name, "ARC-Authentication-Results");
    const bool message = mime::iequals(field.name, "ARC-Message-Signature");
    if (!results && !message && !mime::iequals(field.name, "ARC-Seal")) continue;
    any_ = true;
    const int instance = results ? instance_of(field.value) : tagged_instance(field.value);
    newest_instance_ = std::max(newest_instance_, instance);
    if (!results && !message) note_seal(instance, field.value);
    if (instance == 0 || instance > kMaxInstance) {
      note(std::string(field.name) + " without an instance from 1 to 50");
      continue;
    }
    if (sets_.size() < static_cast<std::size_t>(instance)) sets_.resize(static_cast<std::size_t>(instance));
    Set& set = sets_[static_cast<std::size_t>(instance - 1)];
    auto& slot = results ? set.results : message ? set.message : set.seal;
    if (!slot.raw.empty()) note(std::string(field.name) + " stands twice for one instance");
    slot = field;
  }
  for (std::size_t i = 0; i < sets_.size(); ++i) {
    if (!sets_[i].complete()) note("the set i=" + std::to_string(i + 1) + " is not complete");
  }
  return malformed;
}

// RFC 8617 5.2, steps 2 and 3D: fills in the sets; why the chain cannot be good whatever its signatures say.
std::string ArcVerifier::broken_structure(ArcOutcome& out) const {
  std::string broken;
  for (std::size_t i = 0; i < sets_.size(); ++i) {
    ArcSet set;
    set.instance = static_cast<int>(i + 1);
    const auto seal = parse_seal(sets_[i].seal.value, set.cv);
    if (seal.has_value()) {
      set.domain = seal->domain;
      set.selector = seal->selector;
    }
    const auto results = sets_[i].results.value;
    const auto semicolon = results.find(';');
    if (semicolon != std::string_view::npos) set.results = mime::unfold(results.substr(semicolon + 1));
    // Step 3D: the first says none, all others pass.
    if (set.cv != (i == 0 ? "none" : "pass") && broken.empty()) {
      broken = "cv=" + set.cv.substr(0, 20) + " in the seal i=" + std::to_string(i + 1);
    }
    out.sets.push_back(std::move(set));
  }
  if (!broken.empty()) return broken;
  if (newest_.has_error()) return "the newest message signature: " + newest_.error().message();
  for (const auto& name : newest_->signed_fields) {
    if (name == "arc-seal") return "the newest message signature covers ARC-Seal";  // RFC 8617 4.1.2
  }
  return {};
}

// RFC 8617 5.2, step 6: every seal, over the fields of all sets up to its own. Empty when all are good.
std::string ArcVerifier::check_seals(const KeyAnswers& keys, ArcOutcome& out) const {
  std::string before, problem;
  for (std::size_t i = 0; i < sets_.size(); ++i) {
    const Set& set = sets_[i];
    ArcSet& told = out.sets[i];
    before += canonical_field(set.results.raw, Canonical::kRelaxed);
    before += canonical_field(set.message.raw, Canonical::kRelaxed);
    std::string cv;
    const auto seal = parse_seal(set.seal.value, cv);
    if (seal.has_error()) {
      told.problem = seal.error().message();
    } else {
      DkimSignature checked;
      verify_digest(keys, *seal, seal_digest(before, without_signature(set.seal.raw)), limits_, checked);
      told.problem = checked.problem;
      for (auto& step : checked.steps)
        out.steps.push_back({"seal " + std::to_string(i + 1) + ": " + step.what, step.result});
      if (checked.result == DkimResult::kTempError && problem.empty()) out.result = ArcResult::kTempError;
    }
    if (!told.problem.empty() && problem.empty()) problem = "seal i=" + std::to_string(i + 1) + ": " + told.problem;
    before += canonical_field(set.seal.raw, Canonical::kRelaxed);
  }
  return problem;
}

std::vector<std::string> ArcVerifier::key_names(const BodyHashes& hashes, WallTime now) const {
  std::vector<std::string> out;
  ArcOutcome ignored;
  if (!any_ || !malformed_.empty() || !broken_structure(ignored).empty()) return out;
  if (!needs_key(*newest_, hashes, now, limits_)) return out;  // broken: no seal can mend it
  out.push_back(key_name(newest_->selector, newest_->domain));
  for (const ArcSet& set : ignored.sets) {
    if (!set.domain.empty()) out.push_back(key_name(set.selector, set.domain));
  }
  return out;
}

ArcOutcome ArcVerifier::check(const KeyAnswers& keys, const BodyHashes& hashes, WallTime now) const {
  ArcOutcome out;
  if (!any_) return out;
  const auto failed = [&](const std::string& why) {
    if (out.result != ArcResult::kTempError) out.result = ArcResult::kFail;
    out.problem = why;
    return out;
  };
  out.newest = newest_instance_;
  out.sealable = newest_instance_ < kMaxInstance && !declared_failed_;
  if (!malformed_.empty()) return failed(malformed_);
  const std::string broken = broken_structure(out);
  if (!broken.empty()) return failed(broken);
  const auto message = verify_signature(keys, *newest_, sets_.back().message, fields_, hashes, now, limits_);
  for (const auto& step : message.steps) out.steps.push_back({"message signature: " + step.what, step.result});
  if (message.result != DkimResult::kPass) {
    if (message.result == DkimResult::kTempError) out.result = ArcResult::kTempError;
    return failed("the newest message signature: " + message.problem);
  }
  const std::string problem = check_seals(keys, out);
  if (!problem.empty()) return failed(problem);
  out.result = ArcResult::kPass;
  return out;
}

bool vouched_for(const ArcOutcome& outcome, std::span<const std::string> trusted) {
  if (outcome.result != ArcResult::kPass) return false;
  for (auto set = outcome.sets.rbegin(); set != outcome.sets.rend(); ++set) {
    if (std::find(trusted.begin(), trusted.end(), set->domain) == trusted.end()) return false;
    for (const auto& [method, result] : read_methods(set->results)) {
      if (method == "dmarc" && result == "pass") return true;
    }
  }
  return false;
}

Task<ArcOutcome> verify_arc(dns::Resolver& resolver, std::string_view message, WallTime now, Deadline deadline,
                            DkimLimits limits) {
  const auto size = mime::header_block_size(message);
  BodyHashes hashes;
  const ArcVerifier verifier(message.substr(0, size), hashes, limits);
  hashes.update(message.substr(size));
  hashes.finish();
  KeyAnswers keys;
  MERPATI_CO_CHECK(co_await fetch_keys(resolver, verifier.key_names(hashes, now), deadline, keys));
  co_return verifier.check(keys, hashes, now);
}

}  // namespace merpati::mailauth
