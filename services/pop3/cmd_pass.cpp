// PASS (RFC 1939 7).
#include "pop3/commands.hpp"
#include "pop3/login.hpp"

namespace merpati::pop3 {

Task<void> cmd_pass(Session& session, const Command& command) {
  if (!session.allows_plaintext()) {
    session.say_err("passwords need TLS here: use STLS first", ResponseCode::kAuth);
    co_return Result<void>();
  }
  if (session.user_.empty()) {
    session.say_err("send USER first");
    co_return Result<void>();
  }
  auth::v1::LoginRequest request;
  request.set_user(std::exchange(session.user_, {}));
  request.set_password(command.text);
  *request.mutable_client() = session.client_info();
  request.set_service("pop3");
  rpc::CallOptions options;
  options.deadline = Deadline::after(session.edge().settings.call_timeout);
  auto answer = co_await session.edge().auth.login(request, options);
  if (answer.has_error()) {
    login_failed(session, answer.error());
    co_return Result<void>();
  }
  if (answer->has_success()) co_return co_await login_succeeded(session, std::move(*answer->mutable_success()));
  login_failed(session, answer->failure());
  co_return Result<void>();
}

}  // namespace merpati::pop3
