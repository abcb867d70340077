#include <algorithm>

#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/arc.hpp"

namespace merpati::mailauth {
namespace {
// RFC 8617 4.1.2: DKIM signatures too, but no seal and no results that a next hop removes.
std::vector<std::string> names_of_message(const std::vector<mime::Field>& fields) {
  auto names = names_to_sign(fields, {}, {"From", "Subject", "Date", "To"});
  for (const auto& field : fields) {
    if (mime::iequals(field.name, "DKIM-Signature") && names.size() < 100) names.emplace_back("dkim-signature");
  }
  return names;
}

// The fields of a set in the order in which a seal covers them (5.1.1).
std::string sealed_fields(const std::vector<mime::Field>& fields, int instance) {
  std::string out;
  for (const char* name : {"ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"}) {
    for (const auto& field : fields) {
      const std::string plain = mime::unfold(field.value) + ";";
      const std::string tag = "i=" + std::to_string(instance) + ";";
      std::string compact;
      std::copy_if(plain.begin(), plain.end(), std::back_inserter(compact),
                   [](char c) { return c != ' ' && c != '\t'; });
      const bool own = compact.starts_with(tag) || compact.find(";" + tag) != std::string::npos;
      if (mime::iequals(field.name, name) && own) {
        out += canonical_field(field.raw, Canonical::kRelaxed);
        break;
      }
    }
  }
  return out;
}
}  // namespace

Result<std::string> seal_arc(std::string_view header_block, const BodyHashes& hashes, const ArcOutcome& before,
                             const SigningKey& key, const ArcSealOptions& options) {
  if (!before.sealable) {
    return Error(ErrorCode::kFailedPrecondition,
                 "the chain was declared failed before or is too long, so nothing is added (RFC 8617 5.1)");
  }
  if (before.result == ArcResult::kTempError) {
    return Error(ErrorCode::kUnavailable, "the chain could not be checked: " + before.problem + "; try again later");
  }
  const auto domain = dns::to_ascii(options.domain);
  const auto selector = dns::to_ascii(options.selector);
  if (!domain || !selector) return Error(ErrorCode::kInvalidArgument, "the domain or the selector is no domain name");
  const BodyHash* body = hashes.find(Canonical::kRelaxed, std::nullopt);
  if (body == nullptr) return Error(ErrorCode::kInternal, "the body was not hashed");
  const auto fields = fields_of(header_block);
  const int instance = before.newest + 1;  // 5.1: one more than the highest that is there
  const std::string i = "i=" + std::to_string(instance);
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(options.now.time_since_epoch()).count();
  const std::string results =
      "ARC-Authentication-Results: " + i + "; " + options.authserv_id + ";\r\n " + options.results + "\r\n";

  const auto names = names_of_message(fields);
  std::string message = "ARC-Message-Signature: " + i + "; a=" + std::string(key.algorithm()) +
                        "; c=relaxed/relaxed; d=" + *domain + ";\r\n s=" + *selector + "; t=" + std::to_string(now) +
                        ";\r\n bh=" + to_base64(body->hash()) + ";\r\n h=";
  for (std::size_t n = 0; n < names.size(); ++n) message += (n == 0 ? "" : n % 6 == 0 ? ":\r\n " : ":") + names[n];
  message += ";\r\n b=";
  MERPATI_TRY(const auto signature, key.sign(header_digest(fields, names, Canonical::kRelaxed, message)));
  message += folded_base64(signature) + "\r\n";

  const bool failed = before.result == ArcResult::kFail;
  std::string seal = "ARC-Seal: " + i + "; a=" + std::string(key.algorithm()) + "; t=" + std::to_string(now) + "; cv=" +
                     std::string(failed          ? "fail"
                                 : instance == 1 ? "none"
                                                 : "pass") +
                     ";\r\n d=" + *domain + "; s=" + *selector + ";\r\n b=";
  std::string sealed;
  if (!failed) {  // 5.1.2: a seal that says fail covers its own set only, as nobody can tell what the others are
    for (int n = 1; n < instance; ++n) sealed += sealed_fields(fields, n);
  }
  sealed += canonical_field(results, Canonical::kRelaxed) + canonical_field(message, Canonical::kRelaxed);
  std::string own = canonical_field(seal, Canonical::kRelaxed);
  own.resize(own.size() - 2);
  MERPATI_TRY(const auto sealing, key.sign(sha256(sealed + own)));
  return seal + folded_base64(sealing) + "\r\n" + message + results;
}

}  // namespace merpati::mailauth
