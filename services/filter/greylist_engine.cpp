#include "filter/greylist_engine.hpp"

#include <boost/algorithm/string/case_conv.hpp>
#include <cmath>

#include "filter/sender_identity.hpp"
#include "merpati/base/encoding.hpp"

namespace merpati::filter {
namespace {

std::string triplet(std::string_view client, std::string_view sender, std::string_view recipient) {
  std::string octets;
  for (const std::string_view part : {client, sender, recipient}) {
    octets += boost::algorithm::to_lower_copy(std::string(part));
    octets += '\0';
  }
  return sha256(octets).substr(0, 16);
}

std::string seconds_text(double seconds) {
  const auto whole = std::max(1L, std::lround(std::ceil(seconds)));
  return std::to_string(whole) + (whole == 1 ? " second" : " seconds");
}

}  // namespace

GreylistEngine::GreylistEngine(GreylistSettings settings, Greylist& greylist, runtime::Metrics& metrics)
    : settings_(std::move(settings)), greylist_(greylist) {
  constexpr std::array<const char*, 4> kResults = {"first", "early", "passed", "known"};
  for (std::size_t i = 0; i < kResults.size(); ++i) {
    results_[i] = metrics.counter("merpati_filter_greylist_total", "Messages that greylisting was asked about",
                                  {{"result", kResults[i]}});
  }
}

bool GreylistEngine::concerns(const MessageView& view) const {
  if (!view.from_outside() || !view.greylist || view.known_good || view.client.is_unspecified()) return false;
  return !settings_.own_networks.contains(view.client);
}

std::optional<Findings> GreylistEngine::check_now(const MessageView& view) {
  return concerns(view) ? std::nullopt : std::optional(Findings());
}

Task<Findings> GreylistEngine::wait_for(const MessageView& view) {
  Findings findings;
  // Large senders come again from another network: what stays the same is the domain that they can prove.
  std::string authenticated = authenticated_domain(view);
  if (settings_.skip_authenticated && !authenticated.empty()) co_return findings;
  Attempt attempt;
  attempt.delivery_id = view.delivery_id;
  attempt.client = authenticated.empty() ? network_of(view.client) : std::move(authenticated);
  attempt.domain = domain_of(view.reverse_path);
  for (const std::string_view recipient : view.recipients)
    attempt.triplets.push_back(triplet(attempt.client, view.reverse_path, recipient));
  MERPATI_CO_TRY(const Greylisted known, co_await greylist_.ask(attempt, settings_.times, Deadline::never()));
  results_[static_cast<std::size_t>(known.state)].add();
  const std::string who = attempt.client + " for " + (attempt.domain.empty() ? "<>" : attempt.domain);
  switch (known.state) {
    case Greylisted::State::kFirst:
    case Greylisted::State::kEarly:
      findings.refusals.push_back(
          {"GREYLIST", 451, "4.7.1",
           "Greylisted: this sender is not known here yet, try again in " + seconds_text(known.seconds), true});
      break;
    case Greylisted::State::kPassed:
      findings.symbols.push_back({"GREYLIST_PASSED", 0, who + " came again after " + seconds_text(known.seconds)});
      break;
    case Greylisted::State::kKnown:
      findings.symbols.push_back({"GREYLIST_KNOWN", 0, who});
      break;
  }
  co_return findings;
}

}  // namespace merpati::filter
