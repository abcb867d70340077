// AUTHENTICATE (RFC 9051 6.2.2) with SASL-IR (RFC 4959): an opaque conversation between the client and auth.
#include "imap/login_failure.hpp"
#include "imap/session.hpp"
#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/encoding.hpp"

namespace merpati::imap {
namespace {

using Conversation = rpc::ClientStream<auth::v1::SaslRequest, auth::v1::SaslResponse>;

constexpr std::size_t kLongestResponse = 16 * 1024;

struct ClientResponse {
  bool cancelled = false;
  bool malformed = false;
  std::string bytes;
};

Task<ClientResponse> ask_client(Session& session, std::string_view challenge) {
  auto& connection = session.connection();
  connection.write("+ ");
  connection.write(to_base64(challenge));
  connection.write("\r\n");
  ClientResponse out;
  auto line = co_await connection.read_line(kLongestResponse, Deadline::after(session.options().login_timeout));
  if (line.has_error()) {
    if (line.error().code() != ErrorCode::kOutOfRange) co_return std::move(line).error();
    out.malformed = true;
    co_return out;
  }
  out.cancelled = line->text == "*";
  auto bytes = from_base64(line->text);
  out.malformed = !out.cancelled && !bytes;
  if (bytes) out.bytes = *std::move(bytes);
  co_return out;
}

Task<Reply> succeed(Session& session, const auth::v1::LoginResult& result) {
  if (!result.server_final().empty()) {
    // RFC 4422 3.6: IMAP has no place for data with success, so it travels as a last challenge with an empty response.
    MERPATI_CO_TRY(auto response, co_await ask_client(session, result.server_final()));
    if (response.cancelled || response.malformed || !response.bytes.empty()) co_return bad("Authentication cancelled");
  }
  co_return session.log_in(result);
}

Task<Reply> converse(Session& session, Conversation& conversation) {
  for (;;) {
    MERPATI_CO_TRY(auto step, co_await conversation.read());
    if (!step) co_return Error(ErrorCode::kUnavailable, "auth ended the conversation");
    if (step->has_success()) co_return co_await succeed(session, step->success());
    if (step->has_failure()) co_return refuse_login(session, step->failure());
    MERPATI_CO_TRY(auto response, co_await ask_client(session, step->challenge()));
    auth::v1::SaslRequest answer;
    if (response.cancelled || response.malformed) {
      answer.set_cancel(true);
      static_cast<void>(co_await conversation.write(std::move(answer)));
      // RFC 9051 6.2.2: a cancelled exchange is answered with BAD.
      co_return bad(response.cancelled ? "Authentication cancelled" : "Not base64");
    }
    answer.set_response(response.bytes);
    MERPATI_CO_CHECK(co_await conversation.write(std::move(answer)));
  }
}

bool sends_password(const std::string& mechanism) { return mechanism == "PLAIN" || mechanism == "LOGIN"; }

}  // namespace

Task<Reply> cmd_authenticate(Session& session, const Command& command) {
  const auto& arguments = command.get<AuthenticateArguments>();
  if (sends_password(arguments.mechanism) && !session.plaintext_allowed())
    co_return no("PRIVACYREQUIRED", "Passwords are accepted under TLS only");
  auth::v1::SaslRequest first;
  auto& start = *first.mutable_start();
  start.set_mechanism(arguments.mechanism);
  if (arguments.initial_response) {
    const auto bytes =
        *arguments.initial_response == "=" ? std::optional<std::string>("") : from_base64(*arguments.initial_response);
    if (!bytes) co_return bad("The initial response is not base64");
    start.set_initial_response(*bytes);
  }
  *start.mutable_client() = client_info(session);
  start.set_tls_exporter(session.connection().stream().tls_exporter());
  start.set_tls_server_end_point(session.connection().stream().tls_server_end_point());
  start.set_service("imap");
  rpc::CallOptions options;
  options.deadline = Deadline::after(session.options().login_timeout);
  MERPATI_CO_TRY(auto conversation, co_await session.auth().sasl(options));
  MERPATI_CO_CHECK(co_await conversation->write(std::move(first)));
  auto reply = co_await converse(session, *conversation);
  conversation->cancel();
  co_return reply;
}

}  // namespace merpati::imap
