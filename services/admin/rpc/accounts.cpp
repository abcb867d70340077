// Accounts: owned by auth.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {
namespace {

Act on_address(std::string_view method, const std::string& address, bool changes) {
  return {method, address, Act::Reach::kDomain, changes, {domain_of(address)}};
}

}  // namespace

Task<auth::v1::Account> AdminService::create_account(rpc::Context& context,
                                                     const auth::v1::CreateAccountRequest& request) {
  const auto options = forward(context);
  auto act = on_address("CreateAccount", request.address(), true);
  co_return co_await run(context, std::move(act), directory_.create_account(request, options));
}

Task<auth::v1::CreateAccountsResponse> AdminService::create_accounts(rpc::Context& context,
                                                                     const auth::v1::CreateAccountsRequest& request) {
  const auto options = forward(context);
  Act act{"CreateAccounts", std::to_string(request.addresses_size()) + " accounts", Act::Reach::kDomain, true, {}};
  for (const auto& address : request.addresses()) {
    auto domain = domain_of(address);
    if (act.domains.empty() || act.domains.back() != domain) act.domains.push_back(std::move(domain));
  }
  co_return co_await run(context, std::move(act), directory_.create_accounts(request, options));
}

Task<auth::v1::Account> AdminService::get_account(rpc::Context& context, const auth::v1::GetAccountRequest& request) {
  const auto options = forward(context);
  // By number only for those who may see every domain.
  Act act{"GetAccount", request.address(), Act::Reach::kPlatform, false, {}};
  if (!request.address().empty()) act = on_address("GetAccount", request.address(), false);
  co_return co_await run(context, std::move(act), directory_.get_account(request, options));
}

Task<auth::v1::ListAccountsResponse> AdminService::list_accounts(rpc::Context& context,
                                                                 const auth::v1::ListAccountsRequest& request) {
  const auto options = forward(context);
  Act act{"ListAccounts", request.domain(), Act::Reach::kDomain, false, {lower(request.domain())}};
  co_return co_await run(context, std::move(act), directory_.list_accounts(request, options));
}

Task<auth::v1::Account> AdminService::update_account(rpc::Context& context,
                                                     const auth::v1::UpdateAccountRequest& request) {
  const auto options = forward(context);
  auto act = on_address("UpdateAccount", request.address(), true);
  co_return co_await run(context, std::move(act), directory_.update_account(request, options));
}

Task<auth::v1::DeleteAccountResponse> AdminService::delete_account(rpc::Context& context,
                                                                   const auth::v1::DeleteAccountRequest& request) {
  const auto options = forward(context);
  auto act = on_address("DeleteAccount", request.address(), true);
  co_return co_await run(context, std::move(act), directory_.delete_account(request, options));
}

Task<auth::v1::SetPasswordResponse> AdminService::set_password(rpc::Context& context,
                                                               const auth::v1::SetPasswordRequest& request) {
  const auto options = forward(context);
  auto act = on_address("SetPassword", request.address(), true);
  co_return co_await run(context, std::move(act), directory_.set_password(request, options));
}

Task<auth::v1::RevokeTokensResponse> AdminService::revoke_sessions(rpc::Context& context,
                                                                   const auth::v1::RevokeTokensRequest& request) {
  const auto options = forward(context);
  auto act = on_address("RevokeSessions", request.address(), true);
  co_return co_await run(context, std::move(act), directory_.revoke_tokens(request, options));
}

}  // namespace merpati::admin
