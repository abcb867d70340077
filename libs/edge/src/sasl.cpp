#include "merpati/edge/sasl.hpp"

#include "merpati/runtime/seldom.hpp"

namespace merpati::edge {
namespace {

using Conversation = rpc::ClientStream<auth::v1::SaslRequest, auth::v1::SaslResponse>;

SaslOutcome unavailable(const Error& error) {
  static log::Seldom seldom;
  seldom.warning("edge_sasl_failed", error.describe());
  SaslOutcome outcome;
  auto& failure = outcome.failure.emplace();
  failure.set_reason(auth::v1::LoginFailure::REASON_TEMPORARY);
  failure.set_text("authentication is unavailable, try later");
  return outcome;
}

/// One round with the client; false when it gave up, which `outcome` says then. An error of `write` is auth's.
Task<bool> next_round(Conversation& conversation, SaslClient& client, const std::string& challenge,
                      SaslOutcome& outcome) {
  MERPATI_CO_TRY(auto answer, co_await client.ask(challenge));
  auth::v1::SaslRequest request;
  if (!answer.octets) {
    outcome.refusal = std::move(answer.refusal);
    request.set_cancel(true);
    auto told = co_await conversation.write(std::move(request));
    static_cast<void>(told);
    co_return false;
  }
  request.set_response(*std::move(answer.octets));
  auto written = co_await conversation.write(std::move(request));
  if (!written.has_error()) co_return true;
  outcome = unavailable(written.error());
  co_return false;
}

}  // namespace

std::vector<std::string_view> sasl_mechanisms(SaslOffer offer) {
  std::vector<std::string_view> names;
  if (offer.tls) names.emplace_back("SCRAM-SHA-256-PLUS");
  names.emplace_back("SCRAM-SHA-256");
  if (offer.plaintext) {
    names.emplace_back("PLAIN");
    names.emplace_back("LOGIN");
  }
  return names;
}

auth::v1::ClientInfo client_info(const net::Stream& stream, std::string_view protocol, const net::CidrSet& proxies) {
  auth::v1::ClientInfo info;
  const auto address = net::unmapped(stream.remote().address());
  info.set_address(address.to_string());
  info.set_tls(stream.is_tls());
  info.set_protocol(std::string(protocol));
  info.set_proxy_trusted(proxies.contains(address));
  return info;
}

auth::v1::SaslStart sasl_start(const net::Stream& stream, std::string mechanism,
                               std::optional<std::string> initial_response, auth::v1::ClientInfo client) {
  auth::v1::SaslStart start;
  start.set_mechanism(std::move(mechanism));
  if (initial_response) start.set_initial_response(*std::move(initial_response));
  start.set_service(client.protocol());
  *start.mutable_client() = std::move(client);
  start.set_tls_exporter(stream.tls_exporter());
  start.set_tls_server_end_point(stream.tls_server_end_point());
  return start;
}

Task<SaslOutcome> run_sasl(const auth::v1::AuthClient& auth, auth::v1::SaslStart start, SaslClient& client,
                           Deadline deadline) {
  rpc::CallOptions options;
  options.deadline = deadline;
  auto opened = co_await auth.sasl(options);
  if (opened.has_error()) co_return unavailable(opened.error());
  auto& conversation = **opened;
  auth::v1::SaslRequest first;
  *first.mutable_start() = std::move(start);
  auto sent = co_await conversation.write(std::move(first));
  if (sent.has_error()) co_return unavailable(sent.error());
  SaslOutcome outcome;
  for (;;) {
    auto step = co_await conversation.read();
    if (step.has_error()) co_return unavailable(step.error());
    if (!*step) co_return unavailable(Error(ErrorCode::kInternal, "auth ended the conversation"));
    auto& reply = **step;
    if (reply.has_success()) {
      outcome.success = std::move(*reply.mutable_success());
      co_return outcome;
    }
    if (reply.has_failure()) {
      outcome.failure = std::move(*reply.mutable_failure());
      co_return outcome;
    }
    MERPATI_CO_TRY(const bool goes_on, co_await next_round(conversation, client, reply.challenge(), outcome));
    if (!goes_on) co_return outcome;
  }
}

}  // namespace merpati::edge
