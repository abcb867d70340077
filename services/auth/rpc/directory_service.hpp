// The gRPC service merpati.auth.v1.Directory, called by admin.
#pragma once

#include "auth/directory.hpp"
#include "auth/keys.hpp"
#include "auth/password.hpp"
#include "merpati/auth/v1/directory.rpc.hpp"

namespace merpati::auth {

class DirectoryService final : public v1::DirectoryService {
 public:
  DirectoryService(Directory& directory, Passwords& passwords, Keys& keys)
      : directory_(directory), passwords_(passwords), keys_(keys) {}

  Task<v1::Domain> create_domain(rpc::Context& context, const v1::CreateDomainRequest& request) override;
  Task<v1::Domain> get_domain(rpc::Context& context, const v1::GetDomainRequest& request) override;
  Task<v1::ListDomainsResponse> list_domains(rpc::Context& context, const v1::ListDomainsRequest& request) override;
  Task<v1::Domain> update_domain(rpc::Context& context, const v1::UpdateDomainRequest& request) override;
  Task<v1::DeleteDomainResponse> delete_domain(rpc::Context& context, const v1::DeleteDomainRequest& request) override;
  Task<v1::Account> create_account(rpc::Context& context, const v1::CreateAccountRequest& request) override;
  Task<v1::CreateAccountsResponse> create_accounts(rpc::Context& context,
                                                   const v1::CreateAccountsRequest& request) override;
  Task<v1::Account> get_account(rpc::Context& context, const v1::GetAccountRequest& request) override;
  Task<v1::ListAccountsResponse> list_accounts(rpc::Context& context, const v1::ListAccountsRequest& request) override;
  Task<v1::Account> update_account(rpc::Context& context, const v1::UpdateAccountRequest& request) override;
  Task<v1::DeleteAccountResponse> delete_account(rpc::Context& context,
                                                 const v1::DeleteAccountRequest& request) override;
  Task<v1::SetPasswordResponse> set_password(rpc::Context& context, const v1::SetPasswordRequest& request) override;
  Task<v1::RevokeTokensResponse> revoke_tokens(rpc::Context& context, const v1::RevokeTokensRequest& request) override;
  Task<v1::Alias> create_alias(rpc::Context& context, const v1::CreateAliasRequest& request) override;
  Task<v1::ListAliasesResponse> list_aliases(rpc::Context& context, const v1::ListAliasesRequest& request) override;
  Task<v1::DeleteAliasResponse> delete_alias(rpc::Context& context, const v1::DeleteAliasRequest& request) override;
  Task<v1::RotateSigningKeyResponse> rotate_signing_key(rpc::Context& context,
                                                        const v1::RotateSigningKeyRequest& request) override;

 private:
  /// For accounts of that domain; an empty password gives no login.
  Task<void> must_exist(std::string domain, Deadline deadline);
  Task<Credential> credential(std::string domain, std::string password, Deadline deadline);

  Directory& directory_;
  Passwords& passwords_;
  Keys& keys_;
};

}  // namespace merpati::auth
