// Backends in memory: one account and its scripts, of which those that begin with "bad" do not compile.
#pragma once

#include <map>
#include <string>

#include "merpati/filter/v1/scripts.rpc.hpp"
#include "support/fake_auth.hpp"

namespace merpati::managesieve::test {

namespace pb = filter::v1;

class FakeScripts : public pb::ScriptsService {
 public:
  struct State {
    std::map<std::string, std::string> scripts;
    std::string active;
    bool down = false;
  };
  Guarded<State> state;
  static constexpr std::size_t kLargest = 4096;
  static constexpr std::size_t kMost = 3;

  Task<pb::ListScriptsResponse> list_scripts(rpc::Context&, const pb::ListScriptsRequest& r) override {
    co_return with<pb::ListScriptsResponse>(r, [](State& s, auto& response) -> Result<void> {
      for (const auto& [name, source] : s.scripts) {
        auto& script = *response.add_scripts();
        script.set_name(name);
        script.set_active(name == s.active);
      }
      return {};
    });
  }
  Task<pb::GetScriptResponse> get_script(rpc::Context&, const pb::GetScriptRequest& r) override {
    co_return with<pb::GetScriptResponse>(r, [&](State& s, auto& response) -> Result<void> {
      MERPATI_CHECK(find(s, r.name()));
      response.set_source(s.scripts.at(r.name()));
      return {};
    });
  }
  Task<pb::CheckScriptResponse> check_script(rpc::Context&, const pb::CheckScriptRequest& r) override {
    co_return with<pb::CheckScriptResponse>(r, [&](State&, auto& response) -> Result<void> {
      response.set_room(r.source().size() > kLargest ? pb::SCRIPT_ROOM_TOO_LARGE : pb::SCRIPT_ROOM_ENOUGH);
      response.set_compiles(compile(r.source(), response));
      return {};
    });
  }
  Task<pb::CheckSpaceResponse> check_space(rpc::Context&, const pb::CheckSpaceRequest& r) override {
    co_return with<pb::CheckSpaceResponse>(r, [&](State& s, auto& response) -> Result<void> {
      response.set_room(room(s, r.name(), r.size()));
      return {};
    });
  }
  Task<pb::PutScriptResponse> put_script(rpc::Context&, const pb::PutScriptRequest& r) override {
    co_return with<pb::PutScriptResponse>(r, [&](State& s, auto& response) -> Result<void> {
      response.set_room(room(s, r.name(), r.source().size()));
      response.set_stored(response.room() == pb::SCRIPT_ROOM_ENOUGH && compile(r.source(), response));
      if (response.stored()) s.scripts[r.name()] = r.source();
      return {};
    });
  }
  Task<pb::SetActiveScriptResponse> set_active_script(rpc::Context&, const pb::SetActiveScriptRequest& r) override {
    co_return with<pb::SetActiveScriptResponse>(r, [&](State& s, auto&) -> Result<void> {
      if (!r.name().empty()) MERPATI_CHECK(find(s, r.name()));
      s.active = r.name();
      return {};
    });
  }
  Task<pb::DeleteScriptResponse> delete_script(rpc::Context&, const pb::DeleteScriptRequest& r) override {
    co_return with<pb::DeleteScriptResponse>(r, [&](State& s, auto&) -> Result<void> {
      MERPATI_CHECK(find(s, r.name()));
      if (s.active == r.name()) return Error(ErrorCode::kFailedPrecondition, "active");
      s.scripts.erase(r.name());
      return {};
    });
  }
  Task<pb::RenameScriptResponse> rename_script(rpc::Context&, const pb::RenameScriptRequest& r) override {
    co_return with<pb::RenameScriptResponse>(r, [&](State& s, auto&) -> Result<void> {
      MERPATI_CHECK(find(s, r.name()));
      if (s.scripts.contains(r.new_name())) return Error(ErrorCode::kAlreadyExists, "there");
      auto node = s.scripts.extract(r.name());
      node.key() = r.new_name();
      s.scripts.insert(std::move(node));
      if (s.active == r.name()) s.active = r.new_name();
      return {};
    });
  }

 private:
  template <class Response, class Request, class Act>
  Result<Response> with(const Request& request, Act act) {
    return state.with([&](State& s) -> Result<Response> {
      if (s.down) return Error(ErrorCode::kUnavailable, "down");
      if (request.account_id() != 7) return Error(ErrorCode::kPermissionDenied, "another account");
      Response response;
      MERPATI_CHECK(act(s, response));
      return response;
    });
  }
  static Result<void> find(const State& s, const std::string& name) {
    if (!s.scripts.contains(name)) return Error(ErrorCode::kNotFound, "no such script");
    return {};
  }
  static pb::ScriptRoom room(const State& s, const std::string& name, std::uint64_t size) {
    if (size > kLargest) return pb::SCRIPT_ROOM_TOO_LARGE;
    return s.scripts.size() == kMost && !s.scripts.contains(name) ? pb::SCRIPT_ROOM_TOO_MANY : pb::SCRIPT_ROOM_ENOUGH;
  }
  template <class Response>
  static bool compile(const std::string& source, Response& response) {
    const bool bad = source.starts_with("bad");
    const bool odd = source.starts_with("odd");
    for (std::uint32_t line = 1; (bad || odd) && line < 3; ++line) {
      auto& problem = *response.add_problems();
      problem.set_line(line);
      problem.set_column(4);
      problem.set_text("what is \"" + source.substr(0, 3) + "\"?");
      problem.set_warning(odd);
    }
    return !bad;
  }
};

struct Backends {
  Backends() : auth(key, "sieve", {auth::v1::SCOPE_SIEVE}) {
    auto ring = std::make_shared<rpc::KeyRing>();
    ring->add(key.id, key.pub);
    auth_dispatcher.set_token_verifier(ring);
    filter_dispatcher.set_token_verifier(ring);
    auth_dispatcher.register_service(auth);
    filter_dispatcher.register_service(scripts);
  }
  rpc::SigningKey key = rpc::SigningKey::generate("k1");
  merpati::test::FakeAuth auth;
  FakeScripts scripts;
  rpc::Dispatcher auth_dispatcher, filter_dispatcher;
};

}  // namespace merpati::managesieve::test
