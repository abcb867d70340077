// Accounts: owned by auth.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {
namespace {

Act reads(std::string_view method, const std::string& address) {
  return {method, address, Act::Reach::kDomain, false, {domain_of(address)}};
}
Act changes(std::string_view method, const std::string& address) {
  auto act = reads(method, address);
  act.changes = true;
  return act;
}

}  // namespace

Task<auth::v1::Account> AdminService::create_account(rpc::Context& context,
                                                     const auth::v1::CreateAccountRequest& request) {
  return pass(context, changes("CreateAccount", request.address()), directory_, &Directory::create_account, request);
}

Task<auth::v1::CreateAccountsResponse> AdminService::create_accounts(rpc::Context& context,
                                                                     const auth::v1::CreateAccountsRequest& request) {
  Act act{"CreateAccounts", std::to_string(request.addresses_size()) + " accounts", Act::Reach::kDomain, true, {}};
  for (const auto& address : request.addresses()) {
    auto domain = domain_of(address);
    if (act.domains.empty() || act.domains.back() != domain) act.domains.push_back(std::move(domain));
  }
  if (!act.domains.empty()) act.target += " of " + act.domains.front();
  return pass(context, std::move(act), directory_, &Directory::create_accounts, request);
}

Task<auth::v1::Account> AdminService::get_account(rpc::Context& context, const auth::v1::GetAccountRequest& request) {
  // By number only for those who may see every domain.
  Act act{"GetAccount", request.address(), Act::Reach::kPlatform, false, {}};
  if (!request.address().empty()) act = reads("GetAccount", request.address());
  return pass(context, std::move(act), directory_, &Directory::get_account, request);
}

Task<auth::v1::ListAccountsResponse> AdminService::list_accounts(rpc::Context& context,
                                                                 const auth::v1::ListAccountsRequest& request) {
  Act act{"ListAccounts", request.domain(), Act::Reach::kDomain, false, {canonical_domain(request.domain())}};
  return pass(context, std::move(act), directory_, &Directory::list_accounts, request);
}

Task<auth::v1::Account> AdminService::update_account(rpc::Context& context,
                                                     const auth::v1::UpdateAccountRequest& request) {
  return pass(context, changes("UpdateAccount", request.address()), directory_, &Directory::update_account, request);
}

Task<auth::v1::DeleteAccountResponse> AdminService::delete_account(rpc::Context& context,
                                                                   const auth::v1::DeleteAccountRequest& request) {
  return pass(context, changes("DeleteAccount", request.address()), directory_, &Directory::delete_account, request);
}

Task<auth::v1::SetPasswordResponse> AdminService::set_password(rpc::Context& context,
                                                               const auth::v1::SetPasswordRequest& request) {
  return pass(context, changes("SetPassword", request.address()), directory_, &Directory::set_password, request);
}

Task<auth::v1::RevokeTokensResponse> AdminService::revoke_sessions(rpc::Context& context,
                                                                   const auth::v1::RevokeTokensRequest& request) {
  return pass(context, changes("RevokeSessions", request.address()), directory_, &Directory::revoke_tokens, request);
}

}  // namespace merpati::admin
