// A login by SASL (RFC 4422): bytes between a client and auth, of which the edge understands none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/net/address.hpp"
#include "merpati/net/stream.hpp"

namespace merpati::edge {

/// The mechanisms of auth that a client may use, the strongest first.
struct SaslOffer {
  bool tls = false;
  bool plaintext = false;  ///< may passwords travel as they are?
};
std::vector<std::string_view> sasl_mechanisms(SaslOffer offer);

/// Who the client is. `proxies`: load balancers, whose own address is never punished.
auth::v1::ClientInfo client_info(const net::Stream& stream, std::string_view protocol, const net::CidrSet& proxies);

/// The beginning of a conversation, with the channel binding of the stream's TLS. `client` names the protocol, which is
/// the service that the token is for.
auth::v1::SaslStart sasl_start(const net::Stream& stream, std::string mechanism,
                               std::optional<std::string> initial_response, auth::v1::ClientInfo client);

/// What the client said to a challenge; without octets, why it said nothing: it gave up, or what it sent is no base64.
struct SaslAnswer {
  std::optional<std::string> octets;
  std::string refusal;
};

/// The protocol's side of a conversation; an error is the connection's.
class SaslClient {
 public:
  virtual ~SaslClient() = default;
  virtual Task<SaslAnswer> ask(std::string_view challenge) = 0;
};

/// Exactly one of them. Data that comes with success (RFC 4422 3.6) has not been sent to the client yet.
struct SaslOutcome {
  std::optional<auth::v1::LoginResult> success;
  std::optional<auth::v1::LoginFailure> failure;  ///< REASON_TEMPORARY also when auth does not answer
  std::string refusal;                            ///< the client's own, see SaslAnswer
};

/// An error is the connection's.
Task<SaslOutcome> run_sasl(const auth::v1::AuthClient& auth, auth::v1::SaslStart start, SaslClient& client,
                           Deadline deadline);

}  // namespace merpati::edge
