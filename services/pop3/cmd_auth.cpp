// AUTH (RFC 5034): the SASL exchange is auth's; the bytes only pass through here.
#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "pop3/commands.hpp"
#include "pop3/login.hpp"
#include "pop3/mechanisms.hpp"

namespace merpati::pop3 {

std::vector<std::string> mechanisms(const Session& session) {
  std::vector<std::string> names;
  if (session.is_tls()) names.emplace_back("SCRAM-SHA-256-PLUS");
  names.emplace_back("SCRAM-SHA-256");
  if (session.allows_plaintext()) {
    names.emplace_back("PLAIN");
    names.emplace_back("LOGIN");
  }
  return names;
}

namespace {

using Conversation = rpc::ClientStream<auth::v1::SaslRequest, auth::v1::SaslResponse>;

auth::v1::SaslRequest first_step(Session& session, const Command& command) {
  auth::v1::SaslRequest request;
  auto& start = *request.mutable_start();
  start.set_mechanism(command.text);
  if (command.initial_response) start.set_initial_response(*command.initial_response);
  *start.mutable_client() = session.client_info();
  start.set_service("pop3");
  if (session.is_tls()) {
    start.set_tls_exporter(session.connection().stream().tls_exporter());
    start.set_tls_server_end_point(session.connection().stream().tls_server_end_point());
  }
  return request;
}

/// Sends a challenge and reads the answer. kCancelled: the client sent "*"; kInvalidArgument: not base64.
Task<std::string> ask_client(Session& session, const std::string& challenge) {
  session.connection().write("+ " + to_base64(challenge) + "\r\n");
  MERPATI_CO_TRY(auto line, co_await session.read_line());
  co_return parse_auth_line(line);
}

/// One round with the client. False: the exchange is over, and the client was told.
Task<bool> next_round(Session& session, Conversation& conversation, const std::string& challenge) {
  auto answer = co_await ask_client(session, challenge);
  auth::v1::SaslRequest request;
  if (answer.has_error()) {
    const auto code = answer.error().code();
    const bool by_client = !answer.error().public_text().empty();  // "*" or not base64; anything else is the connection
    if (!by_client && code != ErrorCode::kOutOfRange) co_return std::move(answer).error();
    request.set_cancel(true);
    auto told = co_await conversation.write(std::move(request));
    static_cast<void>(told);
    session.say_err(by_client ? std::string_view(answer.error().public_text()) : "the line is too long");
    co_return false;
  }
  request.set_response(*std::move(answer));
  auto written = co_await conversation.write(std::move(request));
  if (!written.has_error()) co_return true;
  login_failed(session, written.error());
  co_return false;
}

Task<void> finish(Session& session, auth::v1::LoginResult result) {
  if (!result.server_final().empty()) {
    // RFC 5034 4: data that comes with success is sent as a challenge, and answered by an empty line.
    auto answer = co_await ask_client(session, result.server_final());
    if (answer.has_error()) {
      if (answer.error().public_text().empty()) co_return std::move(answer).error();
      session.say_err(answer.error().public_text());
      co_return Result<void>();
    }
    if (!answer->empty()) {
      session.say_err("an empty line was expected");
      co_return Result<void>();
    }
  }
  co_return co_await login_succeeded(session, std::move(result));
}

void list_mechanisms(Session& session) {
  session.say_ok("mechanisms follow");
  for (const auto& name : mechanisms(session)) session.connection().write(name + "\r\n");
  session.connection().write(".\r\n");
}

}  // namespace

Task<void> cmd_auth(Session& session, const Command& command) {
  if (command.text.empty()) {
    list_mechanisms(session);
    co_return Result<void>();
  }
  const auto offered = mechanisms(session);
  if (std::ranges::find(offered, command.text) == offered.end()) {
    session.say_err(session.is_tls() ? "no such mechanism" : "no such mechanism here; some need STLS first");
    co_return Result<void>();
  }
  rpc::CallOptions options;
  options.deadline = Deadline::after(session.edge().settings.login_timeout);
  auto opened = co_await session.edge().auth.sasl(options);
  if (opened.has_error()) {
    login_failed(session, opened.error());
    co_return Result<void>();
  }
  auto& conversation = **opened;
  auto sent = co_await conversation.write(first_step(session, command));
  while (!sent.has_error()) {
    auto step = co_await conversation.read();
    if (step.has_error() || !*step) {
      login_failed(session, step.has_error() ? step.error() : Error(ErrorCode::kInternal, "auth ended the exchange"));
      co_return Result<void>();
    }
    auto& reply = **step;
    if (reply.has_success()) co_return co_await finish(session, std::move(*reply.mutable_success()));
    if (reply.has_failure()) {
      login_failed(session, reply.failure());
      co_return Result<void>();
    }
    MERPATI_CO_TRY(const bool goes_on, co_await next_round(session, conversation, reply.challenge()));
    if (!goes_on) co_return Result<void>();
  }
  login_failed(session, sent.error());
  co_return Result<void>();
}

}  // namespace merpati::pop3
