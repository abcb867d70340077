#include "filter/rpc/scripts_service.hpp"

#include "filter/script_name.hpp"
#include "merpati/sieve/script.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kSmall = 4 * 1024;  // octets: compiled where we are, without a hop to another thread

v1::ScriptRoom to_proto(ScriptRoom room) { return static_cast<v1::ScriptRoom>(room); }

void fill(const StoredScript& script, v1::Script& out) {
  out.set_name(script.name);
  out.set_active(script.active);
  out.set_size(script.size);
  out.set_changed_at(script.changed_at);
}

template <class Problems>
void fill(const std::vector<sieve::Diagnostic>& errors, Problems& out) {
  for (const auto& [at, message] : errors) {
    auto& problem = *out.Add();
    problem.set_line(at.line);
    problem.set_column(at.column);
    problem.set_text(message);
  }
}

asio::awaitable<std::vector<sieve::Diagnostic>> errors_of(const std::string& source, asio::thread_pool& blocking) {
  if (source.size() <= kSmall) co_return sieve::compile(source).errors;
  auto there = [&source] { return sieve::compile(source).errors; };
  co_return co_await run_blocking(blocking, std::move(there));
}

}  // namespace

Task<v1::ListScriptsResponse> ScriptsService::list_scripts(rpc::Context& context,
                                                           const v1::ListScriptsRequest& request) {
  MERPATI_CO_TRY(const auto scripts, co_await scripts_.list(request.account_id(), context.deadline()));
  v1::ListScriptsResponse response;
  for (const auto& script : scripts) fill(script, *response.add_scripts());
  co_return response;
}

Task<v1::GetScriptResponse> ScriptsService::get_script(rpc::Context& context, const v1::GetScriptRequest& request) {
  MERPATI_CO_CHECK(check_script_name(request.name()));
  MERPATI_CO_TRY(auto found, co_await scripts_.get(request.account_id(), request.name(), context.deadline()));
  v1::GetScriptResponse response;
  fill(found.first, *response.mutable_script());
  response.set_source(std::move(found.second));
  co_return response;
}

Task<v1::CheckScriptResponse> ScriptsService::check_script(rpc::Context&, const v1::CheckScriptRequest& request) {
  v1::CheckScriptResponse response;
  if (request.source().size() > scripts_.limits().max_script_size) {
    response.set_room(v1::SCRIPT_ROOM_TOO_LARGE);
    co_return response;
  }
  response.set_room(v1::SCRIPT_ROOM_ENOUGH);
  const auto errors = co_await errors_of(request.source(), blocking_);
  response.set_compiles(errors.empty());
  fill(errors, *response.mutable_problems());
  co_return response;
}

Task<v1::CheckSpaceResponse> ScriptsService::check_space(rpc::Context& context, const v1::CheckSpaceRequest& request) {
  MERPATI_CO_CHECK(check_script_name(request.name()));
  MERPATI_CO_TRY(const auto room,
                 co_await scripts_.room(request.account_id(), request.name(), request.size(), context.deadline()));
  v1::CheckSpaceResponse response;
  response.set_room(to_proto(room));
  co_return response;
}

Task<v1::PutScriptResponse> ScriptsService::put_script(rpc::Context& context, const v1::PutScriptRequest& request) {
  MERPATI_CO_CHECK(check_script_name(request.name()));
  v1::PutScriptResponse response;
  if (request.source().size() > scripts_.limits().max_script_size) {
    response.set_room(v1::SCRIPT_ROOM_TOO_LARGE);
    co_return response;
  }
  const auto errors = co_await errors_of(request.source(), blocking_);
  if (!errors.empty()) {
    response.set_room(v1::SCRIPT_ROOM_ENOUGH);
    fill(errors, *response.mutable_problems());
    co_return response;
  }
  MERPATI_CO_TRY(const auto room,
                 co_await scripts_.put(request.account_id(), request.name(), request.source(), context.deadline()));
  response.set_room(to_proto(room));
  response.set_stored(room == ScriptRoom::kEnough);
  co_return response;
}

Task<v1::SetActiveScriptResponse> ScriptsService::set_active_script(rpc::Context& context,
                                                                    const v1::SetActiveScriptRequest& request) {
  if (!request.name().empty()) MERPATI_CO_CHECK(check_script_name(request.name()));
  MERPATI_CO_CHECK(co_await scripts_.activate(request.account_id(), request.name(), context.deadline()));
  co_return v1::SetActiveScriptResponse();
}

Task<v1::DeleteScriptResponse> ScriptsService::delete_script(rpc::Context& context,
                                                             const v1::DeleteScriptRequest& request) {
  MERPATI_CO_CHECK(check_script_name(request.name()));
  MERPATI_CO_CHECK(co_await scripts_.remove(request.account_id(), request.name(), context.deadline()));
  co_return v1::DeleteScriptResponse();
}

Task<v1::RenameScriptResponse> ScriptsService::rename_script(rpc::Context& context,
                                                             const v1::RenameScriptRequest& request) {
  MERPATI_CO_CHECK(check_script_name(request.name()));
  MERPATI_CO_CHECK(check_script_name(request.new_name()));
  MERPATI_CO_CHECK(
      co_await scripts_.rename(request.account_id(), request.name(), request.new_name(), context.deadline()));
  co_return v1::RenameScriptResponse();
}

Task<v1::PurgeAccountScriptsResponse> ScriptsService::purge_account_scripts(
    rpc::Context& context, const v1::PurgeAccountScriptsRequest& request) {
  MERPATI_CO_CHECK(co_await scripts_.purge(request.account_id(), context.deadline()));
  co_return v1::PurgeAccountScriptsResponse();
}

}  // namespace merpati::filter
