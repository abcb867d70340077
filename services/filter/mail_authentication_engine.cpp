#include "filter/mail_authentication_engine.hpp"

#include "merpati/mime/header.hpp"

namespace merpati::filter {
namespace {
// Beyond the lookups: hashing of the largest body, and slow keys.
constexpr std::chrono::seconds kToCompute{20};
}  // namespace

EngineSettings MailAuthenticationEngine::settings() const {
  return {2 * settings_.lookup_time + kToCompute, settings_.when_unchecked};
}

std::optional<Findings> MailAuthenticationEngine::check_now(const MessageView& view) {
  const bool foreign = view.from_outside() && !settings_.own_networks.contains(view.client);
  return foreign ? std::nullopt : std::optional(Findings());
}

Task<Findings> MailAuthenticationEngine::wait_for(const MessageView& view) {
  mailauth::AuthenticationQuery query;
  if (!view.client.is_unspecified()) query.client = view.client;
  query.helo = view.helo;
  query.reverse_path = view.reverse_path;
  query.receiver = view.receiving_host;
  query.header_block = view.header_block;
  if (view.whole) query.body = view.message.substr(mime::header_block_size(view.message));
  query.lookup_time = settings_.lookup_time;
  query.for_reports = settings_.for_reports;
  query.blocking = &blocking_;
  query.known_keys = &keys_;
  MERPATI_CO_TRY(auto found, co_await mailauth::authenticate(*resolver_, std::move(query), Deadline::never()));
  const bool unknown = found.dmarc && found.dmarc->result == mailauth::DmarcResult::kTempError;
  if (unknown && settings_.when_unchecked == WhenUnchecked::kTemporary)
    co_return Error(ErrorCode::kUnavailable, "DNS does not say what the author's domain asks for");
  found.methods = bounded(std::move(found.methods));
  Findings findings = findings_of(found, settings_.policy);
  findings.authentication = std::make_shared<const mailauth::Authentication>(std::move(found));
  co_return findings;
}

}  // namespace merpati::filter
