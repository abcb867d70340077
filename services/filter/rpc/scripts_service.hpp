// merpati.filter.v1.Scripts: converts between the contract and Scripts, and checks what is put.
#pragma once

#include "filter/scripts.hpp"
#include "merpati/filter/v1/scripts.rpc.hpp"

namespace merpati::filter {

class ScriptsService : public v1::ScriptsService {
 public:
  /// Scripts are compiled on `blocking`.
  ScriptsService(Scripts& scripts, asio::thread_pool& blocking) : scripts_(scripts), blocking_(blocking) {}

  Task<v1::ListScriptsResponse> list_scripts(rpc::Context&, const v1::ListScriptsRequest&) override;
  Task<v1::GetScriptResponse> get_script(rpc::Context&, const v1::GetScriptRequest&) override;
  Task<v1::CheckScriptResponse> check_script(rpc::Context&, const v1::CheckScriptRequest&) override;
  Task<v1::CheckSpaceResponse> check_space(rpc::Context&, const v1::CheckSpaceRequest&) override;
  Task<v1::PutScriptResponse> put_script(rpc::Context&, const v1::PutScriptRequest&) override;
  Task<v1::SetActiveScriptResponse> set_active_script(rpc::Context&, const v1::SetActiveScriptRequest&) override;
  Task<v1::DeleteScriptResponse> delete_script(rpc::Context&, const v1::DeleteScriptRequest&) override;
  Task<v1::RenameScriptResponse> rename_script(rpc::Context&, const v1::RenameScriptRequest&) override;
  Task<v1::PurgeAccountScriptsResponse> purge_account_scripts(rpc::Context&,
                                                              const v1::PurgeAccountScriptsRequest&) override;

 private:
  Scripts& scripts_;
  asio::thread_pool& blocking_;
};

}  // namespace merpati::filter
