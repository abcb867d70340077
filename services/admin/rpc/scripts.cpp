// An account's Sieve scripts, for operators. Owned by filter.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {
namespace {

Act act_on(std::string_view method, const std::string& address, const std::string& script, bool changes) {
  return {
      method, script.empty() ? address : address + " " + script, Act::Reach::kDomain, changes, {domain_of(address)}};
}

}  // namespace

template <class Request, class Response>
Task<Response> AdminService::for_scripts_of(const rpc::Context& context, const std::string& address, Request request,
                                            Task<Response> (Scripts::*method)(const Request&, rpc::CallOptions) const) {
  auto options = forward(context);
  auth::v1::GetAccountRequest who;
  who.set_address(address);
  MERPATI_CO_TRY(const auto account, co_await directory_.get_account(who, options));
  request.set_account_id(account.account_id());
  options.account_id = account.account_id();
  co_return co_await (scripts_.*method)(request, options);
}

Task<filter::v1::ListScriptsResponse> AdminService::list_scripts(rpc::Context& context,
                                                                 const v1::ListScriptsRequest& request) {
  filter::v1::ListScriptsRequest wanted;
  co_return co_await run(context, act_on("ListScripts", request.address(), {}, false),
                         for_scripts_of(context, request.address(), wanted, &Scripts::list_scripts));
}

Task<filter::v1::GetScriptResponse> AdminService::get_script(rpc::Context& context,
                                                             const v1::GetScriptRequest& request) {
  filter::v1::GetScriptRequest wanted;
  wanted.set_name(request.name());
  co_return co_await run(context, act_on("GetScript", request.address(), request.name(), false),
                         for_scripts_of(context, request.address(), wanted, &Scripts::get_script));
}

Task<filter::v1::PutScriptResponse> AdminService::put_script(rpc::Context& context,
                                                             const v1::PutScriptRequest& request) {
  filter::v1::PutScriptRequest wanted;
  wanted.set_name(request.name());
  wanted.set_source(request.source());
  co_return co_await run(context, act_on("PutScript", request.address(), request.name(), true),
                         for_scripts_of(context, request.address(), wanted, &Scripts::put_script));
}

Task<filter::v1::SetActiveScriptResponse> AdminService::set_active_script(rpc::Context& context,
                                                                          const v1::SetActiveScriptRequest& request) {
  filter::v1::SetActiveScriptRequest wanted;
  wanted.set_name(request.name());
  co_return co_await run(context, act_on("SetActiveScript", request.address(), request.name(), true),
                         for_scripts_of(context, request.address(), wanted, &Scripts::set_active_script));
}

Task<filter::v1::DeleteScriptResponse> AdminService::delete_script(rpc::Context& context,
                                                                   const v1::DeleteScriptRequest& request) {
  filter::v1::DeleteScriptRequest wanted;
  wanted.set_name(request.name());
  co_return co_await run(context, act_on("DeleteScript", request.address(), request.name(), true),
                         for_scripts_of(context, request.address(), wanted, &Scripts::delete_script));
}

Task<filter::v1::RenameScriptResponse> AdminService::rename_script(rpc::Context& context,
                                                                   const v1::RenameScriptRequest& request) {
  filter::v1::RenameScriptRequest wanted;
  wanted.set_name(request.name());
  wanted.set_new_name(request.new_name());
  co_return co_await run(context, act_on("RenameScript", request.address(), request.name(), true),
                         for_scripts_of(context, request.address(), wanted, &Scripts::rename_script));
}

}  // namespace merpati::admin
