// Thresholds and weights of a domain's or an account's mail. Owned by filter.
#include "admin/rpc/admin_service.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::admin {
namespace {

Act act_on(std::string_view method, const std::string& domain, const std::string& address, bool changes) {
  if (!address.empty()) return {method, address, Act::Reach::kDomain, changes, {domain_of(address)}};
  if (!domain.empty()) return {method, domain, Act::Reach::kDomain, changes, {canonical_domain(domain)}};
  return {method, "all mail", Act::Reach::kPlatform, changes, {}};
}

void add(const std::string& address, filter::v1::OwnPolicy& policy, v1::ListFilterPoliciesResponse& response) {
  auto& out = *response.add_policies();
  out.set_domain(policy.domain());
  out.set_address(address);
  out.mutable_values()->Swap(policy.mutable_values());
}

}  // namespace

Task<AdminService::PolicyOwner> AdminService::policy_owner(const rpc::Context& context, const std::string& domain,
                                                           const std::string& address) {
  if (!domain.empty() && !address.empty()) {
    const std::string text = "a policy is of a domain or of an account, not of both";
    co_return Error(ErrorCode::kInvalidArgument, text).with_public(text);
  }
  PolicyOwner owner;
  if (!address.empty()) {
    auth::v1::GetAccountRequest who;
    who.set_address(address);
    MERPATI_CO_TRY(const auto account, co_await directory_.get_account(who, forward(context)));
    owner = {account.account_id(), domain_of(account.address())};
  } else if (!domain.empty()) {
    auth::v1::GetDomainRequest which;
    which.set_name(domain);
    MERPATI_CO_TRY(const auto found, co_await directory_.get_domain(which, forward(context)));
    owner.domain = found.name();
  }
  co_return owner;
}

Task<filter::v1::Policy> AdminService::read_policy(const rpc::Context& context,
                                                   const v1::GetFilterPolicyRequest& request) {
  MERPATI_CO_TRY(const auto owner, co_await policy_owner(context, request.domain(), request.address()));
  filter::v1::GetPolicyRequest wanted;
  wanted.set_account_id(owner.account_id);
  wanted.set_domain(owner.domain);
  co_return co_await policies_.get_policy(wanted, forward(context));
}

Task<filter::v1::Policy> AdminService::get_filter_policy(rpc::Context& context,
                                                         const v1::GetFilterPolicyRequest& request) {
  co_return co_await run(context, act_on("GetFilterPolicy", request.domain(), request.address(), false),
                         read_policy(context, request));
}

/// Policies are few and accounts may be many, so each account that has one is asked for.
Task<v1::ListFilterPoliciesResponse> AdminService::policies_of_all(const rpc::Context& context,
                                                                   const v1::ListFilterPoliciesRequest& request) {
  filter::v1::ListPoliciesRequest wanted;
  wanted.set_page_size(request.page_size());
  wanted.set_page_token(request.page_token());
  MERPATI_CO_TRY(auto found, co_await policies_.list_policies(wanted, forward(context)));
  v1::ListFilterPoliciesResponse response;
  response.set_next_page_token(found.next_page_token());
  for (auto& policy : *found.mutable_policies()) {
    std::string address;
    if (policy.account_id() != 0) {
      auth::v1::GetAccountRequest who;
      who.set_account_id(policy.account_id());
      const auto account = co_await directory_.get_account(who, forward(context));
      const bool unknown = account.has_error() && account.error().code() == ErrorCode::kNotFound;
      if (account.has_error() && !unknown) co_return account.error();
      // Of a deleted account it goes with it.
      if (unknown || account->deleted_at() != 0) continue;
      address = account->address();
    }
    add(address, policy, response);
  }
  co_return response;
}

/// The pages are those of the domain's accounts.
Task<v1::ListFilterPoliciesResponse> AdminService::policies_of_domain(const rpc::Context& context,
                                                                      const v1::ListFilterPoliciesRequest& request) {
  auth::v1::ListAccountsRequest whose;
  whose.set_domain(request.domain());
  whose.set_page_size(request.page_size());
  whose.set_page_token(request.page_token());
  MERPATI_CO_TRY(const auto accounts, co_await directory_.list_accounts(whose, forward(context)));
  filter::v1::ListPoliciesRequest wanted;
  if (request.page_token().empty()) wanted.add_domains(canonical_domain(request.domain()));
  std::map<std::int64_t, std::string> addresses;
  for (const auto& account : accounts.accounts()) {
    addresses[account.account_id()] = account.address();
    wanted.add_account_ids(account.account_id());
  }
  v1::ListFilterPoliciesResponse response;
  response.set_next_page_token(accounts.next_page_token());
  // Without any it would be asked for all.
  if (wanted.domains().empty() && wanted.account_ids().empty()) co_return response;
  MERPATI_CO_TRY(auto found, co_await policies_.list_policies(wanted, forward(context)));
  for (auto& policy : *found.mutable_policies()) add(addresses[policy.account_id()], policy, response);
  co_return response;
}

Task<v1::ListFilterPoliciesResponse> AdminService::list_filter_policies(rpc::Context& context,
                                                                        const v1::ListFilterPoliciesRequest& request) {
  const Act act = act_on("ListFilterPolicies", request.domain(), {}, false);
  if (request.domain().empty()) co_return co_await run(context, act, policies_of_all(context, request));
  co_return co_await run(context, act, policies_of_domain(context, request));
}

Task<filter::v1::Policy> AdminService::write_policy(const rpc::Context& context,
                                                    const v1::ChangeFilterPolicyRequest& request) {
  MERPATI_CO_TRY(const auto owner, co_await policy_owner(context, request.domain(), request.address()));
  filter::v1::ChangePolicyRequest wanted;
  wanted.set_account_id(owner.account_id);
  wanted.set_domain(owner.domain);
  *wanted.mutable_set() = request.set();
  *wanted.mutable_unset() = request.unset();
  wanted.set_unset_all(request.unset_all());
  co_return co_await policies_.change_policy(wanted, forward(context));
}

Task<filter::v1::Policy> AdminService::change_filter_policy(rpc::Context& context,
                                                            const v1::ChangeFilterPolicyRequest& request) {
  co_return co_await run(context, act_on("ChangeFilterPolicy", request.domain(), request.address(), true),
                         write_policy(context, request));
}

/// So that a domain of that name that is made later does not begin with the policy of this one.
Task<auth::v1::DeleteDomainResponse> AdminService::end_domain(const rpc::Context& context,
                                                              const auth::v1::DeleteDomainRequest& request) {
  MERPATI_CO_TRY(const auto response, co_await directory_.delete_domain(request, forward(context)));
  filter::v1::ChangePolicyRequest wanted;
  wanted.set_domain(canonical_domain(request.name()));
  wanted.set_unset_all(true);
  const auto options = forward(context);
  const auto ended = co_await policies_.change_policy(wanted, options);
  if (ended.has_error())
    log::warning("domain_policy_left", "a domain was deleted, its filter policy could not be",
                 {{"domain", wanted.domain()}, {"error", ended.error().describe()}});
  co_return response;
}

}  // namespace merpati::admin
