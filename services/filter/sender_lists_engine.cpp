#include "filter/sender_lists_engine.hpp"

#include <algorithm>

#include "filter/message_domains.hpp"
#include "filter/printable.hpp"
#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/authenticate.hpp"
#include "merpati/mime/address.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kMostAuthors = 10;
constexpr double kAccepted = -100;
constexpr std::size_t kMostDetail = 200;  // octets

std::vector<std::string> authors_of(std::string_view header_block) {
  std::vector<mime::Address> addresses;
  if (const auto from = mime::find_field(header_block, "From"))
    mime::parse_addresses(from->value, addresses, kMostAuthors);
  std::vector<std::string> authors;
  for (const auto& address : addresses) {
    if (address.kind == mime::Address::Kind::kMailbox && !address.host.empty())
      authors.push_back(address.mailbox + "@" + address.host);
  }
  return authors;
}

}  // namespace

bool is_authenticated(std::string_view address, const mailauth::Authentication* authentication) {
  if (authentication == nullptr) return false;
  const auto domain = dns::to_ascii(address.substr(address.rfind('@') + 1));
  if (!domain) return false;
  if (authentication->dmarc) {
    for (const auto& evaluation : authentication->dmarc->evaluations) {
      if (evaluation.author_domain != *domain) continue;
      if (evaluation.result == mailauth::DmarcResult::kPass) return true;
      if (evaluation.result == mailauth::DmarcResult::kFail || evaluation.result == mailauth::DmarcResult::kTempError)
        return false;
    }
  }
  const auto registered = registered_domain(*domain);
  if (registered.empty()) return false;
  const auto& spf = authentication->spf;
  if (spf && spf->identity == mailauth::SpfIdentity::kMailFrom && spf->result == mailauth::SpfResult::kPass &&
      registered_domain(spf->domain) == registered)
    return true;
  if (!authentication->dkim) return false;
  return std::ranges::any_of(authentication->dkim->signatures, [&](const mailauth::DkimSignature& signature) {
    return signature.result == mailauth::DkimResult::kPass && registered_domain(signature.domain) == registered;
  });
}

std::optional<Findings> SenderListsEngine::check_now(const MessageView& view) {
  Findings findings;
  if (!view.from_outside()) return findings;
  auto senders = authors_of(view.header_block);
  if (!view.reverse_path.empty()) senders.emplace_back(view.reverse_path);
  auto treatment = SenderTreatment::kNone;
  std::string sender, forged;
  for (const std::string& each : senders) {
    const auto found = lists_.find(each, [&] {
      const bool authenticated = is_authenticated(each, view.authentication);
      if (!authenticated) forged = each;
      return authenticated;
    });
    if (found <= treatment) continue;
    treatment = found;
    sender = each;
  }
  switch (treatment) {
    case SenderTreatment::kRefuse:
      findings.refusals.push_back({"SENDER_REFUSED", 550, "5.7.1", "Mail from this sender is not accepted here", true});
      break;
    case SenderTreatment::kJunk:
      findings.symbols.push_back({"SENDER_JUNK", 0, printable(sender, kMostDetail), false, true});
      break;
    case SenderTreatment::kAccept:
      findings.symbols.push_back({"SENDER_ACCEPTED", kAccepted, printable(sender, kMostDetail)});
      findings.symbols.back().accepts = true;
      break;
    case SenderTreatment::kNone:
      if (!forged.empty()) findings.symbols.push_back({"SENDER_NOT_AUTHENTICATED", 0, printable(forged, kMostDetail)});
      break;
  }
  return findings;
}

Task<Findings> SenderListsEngine::wait_for(const MessageView& view) { co_return *check_now(view); }

}  // namespace merpati::filter
