// AUTHENTICATE (RFC 9051 6.2.2) with SASL-IR (RFC 4959): an opaque conversation between the client and auth.
#include "imap/login_failure.hpp"
#include "imap/session.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/edge/sasl.hpp"

namespace merpati::imap {
namespace {

constexpr std::size_t kLongestResponse = 16 * 1024;

class Client final : public edge::SaslClient {
 public:
  explicit Client(Session& session) : session_(session) {}

  Task<edge::SaslAnswer> ask(std::string_view challenge) override {
    auto& connection = session_.connection();
    connection.write("+ ");
    connection.write(to_base64(challenge));
    connection.write("\r\n");
    edge::SaslAnswer answer;
    auto line = co_await connection.read_line(kLongestResponse, Deadline::after(session_.options().login_timeout));
    if (line.has_error() && line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
    // RFC 9051 6.2.2: a cancelled exchange is answered with BAD.
    if (line.has_value() && line->text == "*") {
      answer.refusal = "Authentication cancelled";
      co_return answer;
    }
    if (line.has_value()) answer.octets = from_base64(line->text);
    if (!answer.octets) answer.refusal = "Not base64";
    co_return answer;
  }

 private:
  Session& session_;
};

Task<Reply> succeed(Session& session, Client& client, const auth::v1::LoginResult& result) {
  if (!result.server_final().empty()) {
    // RFC 4422 3.6: IMAP has no place for data with success, so it travels as a last challenge with an empty response.
    MERPATI_CO_TRY(const auto answer, co_await client.ask(result.server_final()));
    if (!answer.octets || !answer.octets->empty()) co_return bad("Authentication cancelled");
  }
  co_return session.log_in(result);
}

bool sends_password(const std::string& mechanism) { return mechanism == "PLAIN" || mechanism == "LOGIN"; }

}  // namespace

Task<Reply> cmd_authenticate(Session& session, const Command& command) {
  const auto& arguments = command.get<AuthenticateArguments>();
  if (sends_password(arguments.mechanism) && !session.plaintext_allowed())
    co_return no("PRIVACYREQUIRED", "Passwords are accepted under TLS only");
  std::optional<std::string> initial;
  if (arguments.initial_response) {
    initial =
        *arguments.initial_response == "=" ? std::optional<std::string>("") : from_base64(*arguments.initial_response);
    if (!initial) co_return bad("The initial response is not base64");
  }
  Client client(session);
  auto start =
      edge::sasl_start(session.connection().stream(), arguments.mechanism, std::move(initial), client_info(session));
  const auto deadline = Deadline::after(session.options().login_timeout);
  MERPATI_CO_TRY(auto outcome, co_await edge::run_sasl(session.auth(), std::move(start), client, deadline));
  if (outcome.success) co_return co_await succeed(session, client, *outcome.success);
  if (outcome.failure) co_return refuse_login(session, *outcome.failure);
  co_return bad(outcome.refusal);
}

}  // namespace merpati::imap
