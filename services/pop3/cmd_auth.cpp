// AUTH (RFC 5034): the SASL exchange is auth's; the bytes only pass through here.
#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "merpati/edge/sasl.hpp"
#include "pop3/commands.hpp"
#include "pop3/login.hpp"
#include "pop3/mechanisms.hpp"

namespace merpati::pop3 {

std::vector<std::string_view> mechanisms(const Session& session) {
  return edge::sasl_mechanisms({session.is_tls(), session.allows_plaintext()});
}

namespace {

class Client final : public edge::SaslClient {
 public:
  explicit Client(Session& session) : session_(session) {}

  Task<edge::SaslAnswer> ask(std::string_view challenge) override {
    session_.connection().write("+ " + to_base64(challenge) + "\r\n");
    edge::SaslAnswer answer;
    auto line = co_await session_.read_line();
    if (line.has_error()) {
      if (line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
      answer.refusal = "the line is too long";
      co_return answer;
    }
    auto octets = parse_auth_line(*line);
    if (octets.has_error()) {
      answer.refusal = octets.error().public_text();
    } else {
      answer.octets = *std::move(octets);
    }
    co_return answer;
  }

 private:
  Session& session_;
};

Task<void> finish(Session& session, Client& client, auth::v1::LoginResult result) {
  if (!result.server_final().empty()) {
    // RFC 5034 4: data that comes with success is sent as a challenge, and answered by an empty line.
    MERPATI_CO_TRY(const auto answer, co_await client.ask(result.server_final()));
    if (!answer.octets || !answer.octets->empty()) {
      session.say_err(answer.octets ? std::string_view("an empty line was expected") : answer.refusal);
      co_return Result<void>();
    }
  }
  co_return co_await login_succeeded(session, std::move(result));
}

void list_mechanisms(Session& session) {
  session.say_ok("mechanisms follow");
  for (const auto name : mechanisms(session)) session.connection().write(std::string(name) + "\r\n");
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
  Client client(session);
  auto start =
      edge::sasl_start(session.connection().stream(), command.text, command.initial_response, session.client_info());
  const auto deadline = Deadline::after(session.edge().settings.login_timeout);
  MERPATI_CO_TRY(auto outcome, co_await edge::run_sasl(session.edge().auth, std::move(start), client, deadline));
  if (outcome.success) co_return co_await finish(session, client, *std::move(outcome.success));
  if (outcome.failure) {
    login_failed(session, *outcome.failure);
  } else {
    session.say_err(outcome.refusal);
  }
  co_return Result<void>();
}

}  // namespace merpati::pop3
