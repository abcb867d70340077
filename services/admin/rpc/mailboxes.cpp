// What an operator sees of a person's mailboxes: names and counts, never content. Owned by store.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {

Task<v1::ListMailboxesResponse> AdminService::list_mailboxes(rpc::Context& context,
                                                             const v1::ListMailboxesRequest& request) {
  Act act{"ListMailboxes", request.address(), Act::Reach::kDomain, false, {domain_of(request.address())}};
  co_return co_await run(context, std::move(act), read_mailboxes(context, request.address()));
}

Task<v1::ListMailboxesResponse> AdminService::read_mailboxes(const rpc::Context& context, const std::string& address) {
  auto options = forward(context);
  auth::v1::GetAccountRequest who;
  who.set_address(address);
  MERPATI_CO_TRY(const auto account, co_await directory_.get_account(who, options));
  options.cell = account.cell();
  store::v1::ListMailboxesRequest request;
  request.set_account_id(account.account_id());
  request.set_with_counts(true);
  MERPATI_CO_TRY(auto listed, co_await store_.list_mailboxes(request, options));
  v1::ListMailboxesResponse response;
  response.mutable_mailboxes()->Swap(listed.mutable_mailboxes());
  co_return response;
}

Task<v1::GetQuotaResponse> AdminService::get_quota(rpc::Context& context, const v1::GetQuotaRequest& request) {
  Act act{"GetQuota", request.address(), Act::Reach::kDomain, false, {domain_of(request.address())}};
  co_return co_await run(context, std::move(act), read_quota(context, request.address()));
}

Task<v1::GetQuotaResponse> AdminService::read_quota(const rpc::Context& context, const std::string& address) {
  auto options = forward(context);
  auth::v1::GetAccountRequest who;
  who.set_address(address);
  MERPATI_CO_TRY(const auto account, co_await directory_.get_account(who, options));
  options.cell = account.cell();
  store::v1::GetQuotaRequest request;
  request.set_account_id(account.account_id());
  MERPATI_CO_TRY(const auto used, co_await store_.get_quota(request, options));
  v1::GetQuotaResponse response;
  response.set_used_bytes(used.bytes());
  response.set_used_messages(used.messages());
  response.set_limit_bytes(account.quota_bytes());
  response.set_limit_messages(account.quota_messages());
  co_return response;
}

}  // namespace merpati::admin
