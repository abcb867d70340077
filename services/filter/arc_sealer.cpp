#include "filter/arc_sealer.hpp"

#include "merpati/config/v1/filter.pb.h"
#include "merpati/dns/domain_name.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {
namespace {

bool is_arc_field(std::string_view name) {
  return mime::iequals(name, "ARC-Seal") || mime::iequals(name, "ARC-Message-Signature") ||
         mime::iequals(name, "ARC-Authentication-Results");
}

ArcSealer::Fields to_edits(std::string_view fields) {
  ArcSealer::Fields out;
  mime::FieldReader reader(fields);
  for (mime::Field field; reader.next(field);) {
    auto& edit = out.emplace_back();
    edit.set_kind(v1::HeaderEdit::KIND_PREPEND);
    edit.set_name(std::string(field.name));
    // Octet by octet what was sealed: prepending puts ": " in front.
    edit.set_value(std::string(field.value.substr(field.value.starts_with(' ') ? 1 : 0)));
  }
  return out;
}

Error bad(const std::string& what) { return {ErrorCode::kInvalidArgument, "filter.arc" + what}; }

}  // namespace

std::string arc_fields(std::string_view header) {
  std::string out;
  mime::FieldReader reader(header);
  for (mime::Field field; reader.next(field);)
    if (is_arc_field(field.name)) out += field.raw;
  return out;
}

Result<std::optional<ArcSealerSettings>> arc_sealer_settings(const config::v1::Filter& config) {
  const auto& arc = config.arc();
  if (arc.domain().empty()) {
    if (!arc.key().empty() || !arc.selector().empty()) return bad(" has a key or a selector and no domain");
    return std::optional<ArcSealerSettings>();
  }
  if (!dns::to_ascii(arc.domain())) return bad(".domain \"" + arc.domain() + "\" is no domain name");
  if (arc.selector().empty() || !dns::to_ascii(arc.selector()))
    return bad(".selector \"" + arc.selector() + "\" is no name of a record below _domainkey");
  if (arc.key().empty()) return bad(".key (or key_file) is not set");
  auto key = mailauth::SigningKey::from_pem(arc.key());
  if (key.has_error()) return bad(".key: " + std::string(key.error().message()));
  ArcSealerSettings settings{arc.domain(), arc.selector(), *std::move(key)};
  settings.lookup_time = std::chrono::duration_cast<std::chrono::milliseconds>(
      runtime::to_chrono(config.mail_authentication().lookup_time()));
  return std::optional(std::move(settings));
}

ArcSealer::ArcSealer(ArcSealerSettings settings, std::shared_ptr<dns::Resolver> resolver, asio::thread_pool& blocking,
                     runtime::Metrics& metrics)
    : settings_(std::move(settings)), resolver_(std::move(resolver)), blocking_(blocking) {
  const auto counter = [&](const char* result) {
    return metrics.counter("merpati_filter_arc_seals_total",
                           "Messages that went on elsewhere, by what became of an ARC seal", {{"result", result}});
  };
  sealed_ = counter("sealed");
  chain_ended_ = counter("chain_ended");
  unknown_ = counter("temperror");
  too_large_ = counter("too_large");
  error_ = counter("error");
}

Task<mailauth::ArcOutcome> ArcSealer::verify(Message received, Deadline deadline) const {
  if (arc_fields(received.header).empty()) co_return mailauth::ArcOutcome();
  mailauth::BodyHashes hashes;
  const mailauth::ArcVerifier verifier(received.header, hashes);
  auto hash = [&] {
    hashes.update(received.body);
    hashes.finish();
  };
  co_await run_blocking(blocking_, std::move(hash));
  const WallTime now = WallTime::clock::now();
  mailauth::KeyAnswers keys;
  auto names = verifier.key_names(hashes, now);
  MERPATI_CO_CHECK(
      co_await mailauth::fetch_keys(*resolver_, std::move(names), deadline.within(settings_.lookup_time), keys));
  mailauth::ArcOutcome out;
  auto check = [&] { out = verifier.check(keys, hashes, now); };
  co_await run_blocking(blocking_, std::move(check));
  co_return out;
}

ArcSealer::Fields ArcSealer::unsealed(runtime::Counter& counter, std::string_view why) const {
  counter.add();
  log::info("filter_arc_not_sealed", why);
  return {};
}

void ArcSealer::count_error(const Error& error) {
  error_.add();
  log::warning("filter_arc_failed", error.describe());
}

Task<ArcSealer::Fields> ArcSealer::seal(Message leaving, const Known& known, std::size_t most) {
  if (!known.chain.sealable) co_return unsealed(chain_ended_, known.chain.problem);
  if (known.chain.result == mailauth::ArcResult::kTempError) co_return unsealed(unknown_, known.chain.problem);
  mailauth::ArcSealOptions how;
  how.domain = settings_.domain;
  how.selector = settings_.selector;
  how.authserv_id = known.authserv_id;
  how.results = known.results;
  std::optional<Result<std::string>> fields;
  auto work = [&] {
    mailauth::BodyHashes hashes;
    hashes.add(mailauth::Canonical::kRelaxed, std::nullopt);
    hashes.update(leaving.body);
    hashes.finish();
    fields = mailauth::seal_arc(leaving.header, hashes, known.chain, settings_.key, how);
  };
  co_await run_blocking(blocking_, std::move(work));
  if (fields->has_error()) {
    count_error(fields->error());
    co_return Fields();
  }
  if ((*fields)->size() > most)
    co_return unsealed(too_large_, "the fields exceed what may stand in front of a message");
  sealed_.add();
  co_return to_edits(**fields);
}

}  // namespace merpati::filter
