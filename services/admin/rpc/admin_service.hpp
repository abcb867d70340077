// AdminService: the gRPC face of admin. Each handler says what it is (Act) and whom it calls; run() does the rest.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "admin/access.hpp"
#include "admin/audit.hpp"
#include "admin/tokens.hpp"
#include "merpati/admin/v1/admin.rpc.hpp"
#include "merpati/auth/v1/directory.rpc.hpp"
#include "merpati/filter/v1/dmarc_reports.rpc.hpp"
#include "merpati/filter/v1/learning.rpc.hpp"
#include "merpati/filter/v1/policies.rpc.hpp"
#include "merpati/filter/v1/scripts.rpc.hpp"
#include "merpati/queue/v1/queue.rpc.hpp"
#include "merpati/runtime/metrics.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "merpati/trace/v1/trace.rpc.hpp"

namespace merpati::admin {

using Channel = std::shared_ptr<rpc::Channel>;
using Directory = auth::v1::DirectoryClient;
using Scripts = filter::v1::ScriptsClient;
using Queue = queue::v1::QueueClient;

/// Whom admin calls. A null channel: that service is not part of this installation.
struct Peers {
  Channel auth;
  Channel store;
  Channel filter;
  Channel queue;
  std::map<std::string, Channel> status;  ///< every process by its name
};

class AdminService : public v1::AdminService {
 public:
  /// `tasks` runs what one call asks of many at once.
  AdminService(Tokens& tokens, Audit& audit, Peers peers, runtime::Metrics& metrics, TaskGroup& tasks);

  Task<v1::Token> who_am_i(rpc::Context&, const v1::WhoAmIRequest&) override;
  // rpc/domains.cpp
  Task<auth::v1::Domain> create_domain(rpc::Context&, const auth::v1::CreateDomainRequest&) override;
  Task<auth::v1::Domain> get_domain(rpc::Context&, const auth::v1::GetDomainRequest&) override;
  Task<auth::v1::ListDomainsResponse> list_domains(rpc::Context&, const auth::v1::ListDomainsRequest&) override;
  Task<auth::v1::Domain> update_domain(rpc::Context&, const auth::v1::UpdateDomainRequest&) override;
  Task<auth::v1::DeleteDomainResponse> delete_domain(rpc::Context&, const auth::v1::DeleteDomainRequest&) override;
  // rpc/accounts.cpp
  Task<auth::v1::Account> create_account(rpc::Context&, const auth::v1::CreateAccountRequest&) override;
  Task<auth::v1::CreateAccountsResponse> create_accounts(rpc::Context&,
                                                         const auth::v1::CreateAccountsRequest&) override;
  Task<auth::v1::Account> get_account(rpc::Context&, const auth::v1::GetAccountRequest&) override;
  Task<auth::v1::ListAccountsResponse> list_accounts(rpc::Context&, const auth::v1::ListAccountsRequest&) override;
  Task<auth::v1::Account> update_account(rpc::Context&, const auth::v1::UpdateAccountRequest&) override;
  Task<auth::v1::DeleteAccountResponse> delete_account(rpc::Context&, const auth::v1::DeleteAccountRequest&) override;
  Task<auth::v1::SetPasswordResponse> set_password(rpc::Context&, const auth::v1::SetPasswordRequest&) override;
  Task<auth::v1::RevokeTokensResponse> revoke_sessions(rpc::Context&, const auth::v1::RevokeTokensRequest&) override;
  // rpc/aliases.cpp
  Task<auth::v1::Alias> create_alias(rpc::Context&, const auth::v1::CreateAliasRequest&) override;
  Task<auth::v1::ListAliasesResponse> list_aliases(rpc::Context&, const auth::v1::ListAliasesRequest&) override;
  Task<auth::v1::DeleteAliasResponse> delete_alias(rpc::Context&, const auth::v1::DeleteAliasRequest&) override;
  // rpc/mailboxes.cpp
  Task<v1::ListMailboxesResponse> list_mailboxes(rpc::Context&, const v1::ListMailboxesRequest&) override;
  Task<v1::GetQuotaResponse> get_quota(rpc::Context&, const v1::GetQuotaRequest&) override;
  // rpc/scripts.cpp
  Task<filter::v1::ListScriptsResponse> list_scripts(rpc::Context&, const v1::ListScriptsRequest&) override;
  Task<filter::v1::GetScriptResponse> get_script(rpc::Context&, const v1::GetScriptRequest&) override;
  Task<filter::v1::PutScriptResponse> put_script(rpc::Context&, const v1::PutScriptRequest&) override;
  Task<filter::v1::SetActiveScriptResponse> set_active_script(rpc::Context&,
                                                              const v1::SetActiveScriptRequest&) override;
  Task<filter::v1::DeleteScriptResponse> delete_script(rpc::Context&, const v1::DeleteScriptRequest&) override;
  Task<filter::v1::RenameScriptResponse> rename_script(rpc::Context&, const v1::RenameScriptRequest&) override;
  // rpc/learning.cpp
  Task<filter::v1::LearnResponse> learn(rpc::Context&, const v1::LearnRequest&) override;
  Task<filter::v1::BayesModel> get_bayes_model(rpc::Context&, const v1::GetBayesModelRequest&) override;
  // rpc/dmarc_reports.cpp
  Task<filter::v1::ListReportsResponse> list_dmarc_reports(rpc::Context&,
                                                           const filter::v1::ListReportsRequest&) override;
  Task<filter::v1::SendReportsResponse> send_dmarc_reports(rpc::Context&,
                                                           const filter::v1::SendReportsRequest&) override;
  // rpc/policies.cpp
  Task<filter::v1::Policy> get_filter_policy(rpc::Context&, const v1::GetFilterPolicyRequest&) override;
  Task<v1::ListFilterPoliciesResponse> list_filter_policies(rpc::Context&,
                                                            const v1::ListFilterPoliciesRequest&) override;
  Task<filter::v1::Policy> change_filter_policy(rpc::Context&, const v1::ChangeFilterPolicyRequest&) override;
  // rpc/queue.cpp
  Task<queue::v1::ListItemsResponse> list_queue(rpc::Context&, const queue::v1::ListItemsRequest&) override;
  Task<queue::v1::Item> get_queue_item(rpc::Context&, const queue::v1::GetItemRequest&) override;
  Task<queue::v1::RetryItemsResponse> retry_queue(rpc::Context&, const queue::v1::RetryItemsRequest&) override;
  Task<queue::v1::DropItemsResponse> drop_queue(rpc::Context&, const queue::v1::DropItemsRequest&) override;
  // rpc/keys.cpp
  Task<auth::v1::RotateSigningKeyResponse> rotate_signing_key(rpc::Context&,
                                                              const auth::v1::RotateSigningKeyRequest&) override;
  // rpc/trace.cpp
  Task<v1::GetTraceResponse> get_trace(rpc::Context&, const v1::GetTraceRequest&) override;
  // rpc/services.cpp
  Task<v1::GetServicesResponse> get_services(rpc::Context&, const v1::GetServicesRequest&) override;
  // rpc/tokens.cpp
  Task<v1::CreateTokenResponse> create_token(rpc::Context&, const v1::CreateTokenRequest&) override;
  Task<v1::ListTokensResponse> list_tokens(rpc::Context&, const v1::ListTokensRequest&) override;
  Task<v1::RevokeTokenResponse> revoke_token(rpc::Context&, const v1::RevokeTokenRequest&) override;
  Task<v1::ListAuditResponse> list_audit(rpc::Context&, const v1::ListAuditRequest&) override;

 private:
  /// Checks the token and its role, writes the audit row where something changes, awaits `call`, writes the outcome.
  /// `call` is not begun before all that allows it; what it refers to must live in the caller's frame.
  template <class Response>
  Task<Response> run(const rpc::Context& context, Act act, Task<Response> call) {
    MERPATI_CO_TRY(const std::int64_t row, co_await admit(context, act));
    Result<Response> result = co_await std::move(call);
    co_await finish(act, row, result.has_error() ? to_string(result.error().code()) : std::string_view("OK"));
    co_return result;
  }
  /// An act that another service carries out: `method` of its client.
  template <class Client, class Request, class Response>
  Task<Response> pass(const rpc::Context& context, Act act, const Client& client,
                      Task<Response> (Client::*method)(const Request&, rpc::CallOptions) const,
                      const Request& request) {
    co_return co_await run(context, std::move(act), (client.*method)(request, forward(context)));
  }
  /// The audit row's id; 0 when the act changes nothing.
  Task<std::int64_t> admit(const rpc::Context& context, const Act& act);
  asio::awaitable<void> finish(const Act& act, std::int64_t row, std::string_view outcome);
  static rpc::CallOptions forward(const rpc::Context& context);

  Task<v1::ListMailboxesResponse> read_mailboxes(const rpc::Context& context, const std::string& address);
  Task<v1::GetQuotaResponse> read_quota(const rpc::Context& context, const std::string& address);
  /// rpc/scripts.cpp: `method` of Scripts for the account of that address, whose id goes into `request`.
  template <class Request, class Response>
  Task<Response> for_scripts_of(const rpc::Context& context, const std::string& address, Request request,
                                Task<Response> (Scripts::*method)(const Request&, rpc::CallOptions) const);
  /// rpc/learning.cpp: 0 for no address.
  Task<std::int64_t> account_or_all(const rpc::Context& context, const std::string& address);
  Task<filter::v1::LearnResponse> teach(const rpc::Context& context, const v1::LearnRequest& request);
  Task<filter::v1::BayesModel> read_model(const rpc::Context& context, const std::string& address);
  /// rpc/policies.cpp
  struct PolicyOwner {
    std::int64_t account_id = 0;
    std::string domain;
  };
  Task<PolicyOwner> policy_owner(const rpc::Context& context, const std::string& domain, const std::string& address);
  Task<filter::v1::Policy> read_policy(const rpc::Context& context, const v1::GetFilterPolicyRequest& request);
  Task<v1::ListFilterPoliciesResponse> policies_of_all(const rpc::Context& context,
                                                       const v1::ListFilterPoliciesRequest& request);
  Task<v1::ListFilterPoliciesResponse> policies_of_domain(const rpc::Context& context,
                                                          const v1::ListFilterPoliciesRequest& request);
  Task<filter::v1::Policy> write_policy(const rpc::Context& context, const v1::ChangeFilterPolicyRequest& request);
  Task<auth::v1::DeleteDomainResponse> end_domain(const rpc::Context& context,
                                                  const auth::v1::DeleteDomainRequest& request);
  Task<v1::GetServicesResponse> ask_services(Deadline deadline);
  Task<v1::GetTraceResponse> find_trace(const rpc::Context& context, const Token& token, const std::string& id);
  Task<v1::CreateTokenResponse> make_token(const v1::CreateTokenRequest& request, Deadline deadline);
  Task<v1::RevokeTokenResponse> end_token(const std::string& name, Deadline deadline);

  Tokens& tokens_;
  Audit& audit_;
  std::map<std::string, Channel> status_;
  Directory directory_;
  store::v1::StoreClient store_;
  Scripts scripts_;
  filter::v1::LearningClient learning_;
  filter::v1::DmarcReportsClient dmarc_reports_;
  filter::v1::PoliciesClient policies_;
  Queue queue_;
  trace::v1::TraceClient store_trace_;
  const std::vector<std::string> cells_;  ///< that store_trace_ reaches
  trace::v1::TraceClient queue_trace_;
  runtime::Metrics& metrics_;
  TaskGroup& tasks_;
};

}  // namespace merpati::admin
