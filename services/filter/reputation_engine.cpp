#include "filter/reputation_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "filter/printable.hpp"
#include "filter/sender_identity.hpp"

namespace merpati::filter {
namespace {

constexpr double kGoodShare = 0.9;         // of the mail of one who is known for good mail
constexpr std::size_t kLongestName = 200;  // octets

}  // namespace

double reputation_points(const Reputation& reputation, double most, double min_messages) {
  const double total = reputation.total();
  if (total <= 0 || total < min_messages) return 0;
  const double balance = (reputation.junk + reputation.refused - reputation.good) / total;
  const double certainty = total / (total + min_messages);
  // Whoever earns trust may sell it: less is given for good mail than taken for bad.
  return balance * certainty * (balance < 0 ? most / 2 : most);
}

void ReputationEngine::add(const char* symbol, const std::string& name, const Reputation& reputation, double most,
                           Findings& findings) const {
  if (name.empty() || reputation.total() <= 0 || reputation.total() < settings_.min_messages) return;
  findings.symbols.push_back({symbol, reputation_points(reputation, most, settings_.min_messages),
                              fmt::format("{}: {:.1f} good, {:.1f} junk, {:.1f} refused", printable(name, kLongestName),
                                          reputation.good, reputation.junk, reputation.refused)});
}

std::optional<SenderNames> ReputationEngine::counted_for(const MessageView& view) const {
  if (!view.from_outside() || view.client.is_unspecified()) return std::nullopt;
  if (settings_.own_networks.contains(view.client)) return std::nullopt;
  SenderNames names;
  names.network = network_of(view.client);
  names.domain = authenticated_domain(view);
  names.sender = sender_of(view);
  return names;
}

Task<Findings> ReputationEngine::wait_for(const MessageView& view) {
  Findings findings;
  const auto names = counted_for(view);
  if (!names) co_return findings;
  MERPATI_CO_TRY(const Reputations known, co_await memory_.look_up(*names, settings_.half_life, Deadline::never()));
  add("SENDER_REPUTATION", names->sender, known.sender, settings_.sender_points, findings);
  add("DOMAIN_REPUTATION", names->domain, known.domain, settings_.domain_points, findings);
  add("ADDRESS_REPUTATION", names->network, known.network, settings_.address_points, findings);
  const auto has = [&](auto&& share) {
    return std::ranges::any_of(std::array{known.sender, known.domain, known.network}, [&](const Reputation& each) {
      return each.total() > 0 && each.total() >= settings_.min_messages && share(each);
    });
  };
  const bool some_good = has([](const Reputation& each) { return each.good >= kGoodShare * each.total(); });
  const bool some_bad = has([](const Reputation& each) { return each.good < each.total() / 2; });
  findings.known_good = some_good && !some_bad;
  co_return findings;
}

std::function<void(const MessageView&, const Verdict&)> count_for_senders(
    std::shared_ptr<const ReputationEngine> engine, JudgedMessages& judged, Scoring scoring) {
  return [engine = std::move(engine), &judged, scoring = std::move(scoring)](const MessageView& view,
                                                                             const Verdict& verdict) {
    auto names = engine->counted_for(view);
    if (!names) return;
    const Outcome outcome = outcome_without(ReputationEngine::kName, verdict, scoring);
    judged.add({std::string(view.delivery_id), outcome, *std::move(names)});
  };
}

}  // namespace merpati::filter
