// Header blocks with DKIM and ARC fields: parsing, canonical forms, body hashes cut anywhere, DMARC and key records.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "merpati/mailauth/arc.hpp"
#include "merpati/mailauth/authentication_results.hpp"
#include "merpati/mailauth/dmarc.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace merpati;
  using namespace merpati::mailauth;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto header = text.substr(0, mime::header_block_size(text));
  const auto body = text.substr(header.size());
  BodyHashes hashes;
  const DkimVerifier dkim(header, hashes);
  const ArcVerifier arc(header, hashes);
  for (const auto& field : fields_of(header)) {
    if (!canonical_field(field.raw, Canonical::kSimple).ends_with("\r\n")) std::abort();
    const std::string relaxed = canonical_field(field.raw, Canonical::kRelaxed);
    if (!field.name.empty() && canonical_field(relaxed, Canonical::kRelaxed) != relaxed) std::abort();
    if (without_signature(field.raw).size() > field.raw.size()) std::abort();
    const auto signature = parse_signature(field.value, Signature::Kind::kDkim);
    if (signature.has_value()) {
      (void)header_digest(fields_of(header), signature->signed_fields, signature->header_canonical, field.raw);
    }
    (void)parse_signature(field.value, Signature::Kind::kArcMessage);
    (void)parse_key_record(field.value);
    (void)parse_dmarc_record(field.value);
  }
  (void)author_domains(header);
  for (const auto canonical : {Canonical::kSimple, Canonical::kRelaxed}) {
    BodyHash whole(canonical, std::nullopt), pieces(canonical, std::nullopt);
    const std::size_t cut = size == 0 ? 0 : data[0] % (body.size() + 1);
    whole.update(body);
    pieces.update(body.substr(0, cut));
    pieces.update(body.substr(cut));
    if (whole.finish() != pieces.finish()) std::abort();
  }
  hashes.finish();
  return 0;
}
