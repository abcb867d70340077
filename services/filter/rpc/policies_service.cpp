#include "filter/rpc/policies_service.hpp"

#include <algorithm>
#include <charconv>

#include "filter/rpc/verdict_answer.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {
namespace {

constexpr int kPage = 100, kMostPage = 1000;
constexpr int kMostNamed = kMostPage + 1;  // the accounts of a page, and their domain

Error refused(const std::string& why) { return Error(ErrorCode::kInvalidArgument, why).with_public(why); }

/// "junk=5, NO_FROM unset", for the log.
std::string in_words(const v1::ChangePolicyRequest& request) {
  std::string out = request.unset_all() ? "all unset" : "";
  const auto add = [&out](const std::string& text) { out.append(out.empty() ? "" : ", ").append(text); };
  for (const auto& key : request.unset()) add(key + " unset");
  for (const auto& value : request.set())
    add(value.key() + "=" + (value.never() ? "never" : std::to_string(value.value())));
  return out.substr(0, 500);
}

void add(const PolicyTable::Place& place, const Policy& policy, v1::ListPoliciesResponse& response) {
  auto& out = *response.add_policies();
  out.set_account_id(place.account);
  out.set_domain(place.domain);
  for (const auto& value : values_of(policy, place.account != 0 ? Source::kAccount : Source::kDomain))
    *out.add_values() = to_proto(value);
}

/// "0 example.org", "7 "
std::string token_of(const PolicyTable::Place& place) { return std::to_string(place.account) + " " + place.domain; }

std::optional<PolicyTable::Place> place_of(const std::string& token) {
  PolicyTable::Place place;
  if (token.empty()) return place;
  const auto space = token.find(' ');
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), place.account);
  if (error != std::errc() || space == std::string::npos || end != token.data() + space || place.account < 0)
    return std::nullopt;
  place.domain = token.substr(space + 1);
  return place;
}

}  // namespace

Task<PoliciesService::Owner> PoliciesService::read(std::int64_t account, std::string domain, Deadline deadline) {
  Owner owner{account, std::move(domain), {}, {}};
  if (owner.account == 0 && owner.domain.empty()) co_return owner;
  std::vector<std::int64_t> accounts;
  std::vector<std::string> domains;
  if (owner.account != 0) accounts.push_back(owner.account);
  if (!owner.domain.empty()) domains.push_back(owner.domain);
  MERPATI_CO_TRY(auto found, co_await table_.find(std::move(accounts), std::move(domains), deadline));
  owner.of_account = std::move(found.accounts[owner.account]);
  owner.of_domain = std::move(found.domains[owner.domain]);
  co_return owner;
}

v1::Policy PoliciesService::policy_of(const Owner& owner) const {
  const Scoring& configured = book_.configured()->scoring;
  const SharedRules rules = merge(configured, &owner.of_domain, &owner.of_account);
  v1::Policy out;
  for (const PolicyValue& value : values_of(*rules, configured.thresholds.greylist != kNever))
    *out.add_values() = to_proto(value);
  return out;
}

Task<v1::Policy> PoliciesService::get_policy(rpc::Context& context, const v1::GetPolicyRequest& request) {
  MERPATI_CO_TRY(const Owner owner, co_await read(request.account_id(), request.domain(), context.deadline()));
  co_return policy_of(owner);
}

Task<v1::ListPoliciesResponse> PoliciesService::of_these(const v1::ListPoliciesRequest& request, Deadline deadline) {
  std::vector<std::int64_t> accounts(request.account_ids().begin(), request.account_ids().end());
  std::vector<std::string> domains(request.domains().begin(), request.domains().end());
  MERPATI_CO_TRY(const auto found, co_await table_.find(std::move(accounts), std::move(domains), deadline));
  v1::ListPoliciesResponse response;
  for (const auto& [domain, policy] : found.domains) add({0, domain}, policy, response);
  for (const auto& [account, policy] : found.accounts) add({account, ""}, policy, response);
  co_return response;
}

Task<v1::ListPoliciesResponse> PoliciesService::list_policies(rpc::Context& context,
                                                              const v1::ListPoliciesRequest& request) {
  const int named = request.account_ids_size() + request.domains_size();
  if (named > kMostNamed) co_return refused("too many accounts and domains in one call");
  if (named > 0) co_return co_await of_these(request, context.deadline());
  const auto after = place_of(request.page_token());
  if (!after) co_return refused("the page token is not of this list");
  const int size = request.page_size() > 0 ? std::min(request.page_size(), kMostPage) : kPage;
  // One more than the page was asked for tells that there is another page.
  MERPATI_CO_TRY(auto found, co_await table_.list(*after, size + 1, context.deadline()));
  v1::ListPoliciesResponse response;
  if (std::ssize(found) > size) {
    found.resize(static_cast<std::size_t>(size));
    response.set_next_page_token(token_of(found.back().first));
  }
  for (const auto& [place, policy] : found) add(place, policy, response);
  co_return response;
}

Task<v1::Policy> PoliciesService::change_policy(rpc::Context& context, const v1::ChangePolicyRequest& request) {
  const Scoring& configured = book_.configured()->scoring;
  if (request.account_id() == 0 && request.domain().empty())
    co_return refused(
        "the thresholds and weights of all mail stand in the configuration: filter.thresholds, filter.weights");
  PolicyTable::Change change;
  change.account = request.account_id();
  if (change.account == 0) change.domain = request.domain();
  change.unset_all = request.unset_all();
  change.unset.assign(request.unset().begin(), request.unset().end());
  for (const auto& value : request.set()) {
    const auto points = value.never() ? std::nullopt : std::optional(value.value());
    if (!is_threshold(value.key())) MERPATI_CO_CHECK(names_.check_weight(value.key(), configured));
    MERPATI_CO_CHECK(check_value(value.key(), points));
    if (value.key() == "greylist" && configured.thresholds.greylist == kNever)
      co_return refused("greylist: nobody is greylisted here (filter.greylist.enabled)");
    if (!change.set.emplace(value.key(), points).second) co_return refused(value.key() + " is set twice");
  }
  MERPATI_CO_TRY(Owner owner, co_await read(request.account_id(), request.domain(), context.deadline()));
  Policy& own = change.account != 0 ? owner.of_account : owner.of_domain;
  if (change.unset_all) own.clear();
  for (const auto& key : change.unset) own.erase(key);
  for (const auto& [key, value] : change.set) own[key] = value;
  MERPATI_CO_CHECK(check_order(*merge(configured, &owner.of_domain, &owner.of_account)));
  MERPATI_CO_CHECK(co_await table_.change(std::move(change), context.deadline()));
  book_.forget();
  log::info("filter_policy_changed", in_words(request),
            {{"account_id", request.account_id()}, {"domain", request.domain()}});
  co_return policy_of(owner);
}

}  // namespace merpati::filter
