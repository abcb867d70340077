// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, 7677, 9266). No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "auth/directory.hpp"

namespace merpati::auth {

ScramVerifier make_scram_verifier(std::string_view password, std::string salt, int iterations);

/// What the TLS session of this client binds to; empty where there is none.
struct ChannelBindings {
  std::string tls_exporter;
  std::string tls_server_end_point;
};

/// One conversation. Errors are kInvalidArgument for a malformed exchange and kUnauthenticated for a wrong proof.
class ScramServer {
 public:
  enum class Binding { kNone, kPlus };  ///< SCRAM-SHA-256 or SCRAM-SHA-256-PLUS
  ScramServer(Binding binding, ChannelBindings bindings, std::string nonce);

  /// Reads client-first-message; then user() and authorization_id() are known.
  Result<void> read_first(std::string_view message);
  const std::string& user() const { return user_; }
  const std::string& authorization_id() const { return authorization_id_; }
  /// server-first-message for that user's verifier.
  std::string challenge(const ScramVerifier& verifier);
  /// Reads client-final-message; gives server-final-message when the proof is right.
  Result<std::string> finish(std::string_view message);

 private:
  Result<void> read_gs2_flag(std::string_view flag);

  const Binding binding_;
  const ChannelBindings bindings_;
  std::string nonce_;
  std::string gs2_header_, bound_;  ///< as the client must repeat them
  std::string user_, authorization_id_;
  std::string first_bare_, server_first_;
  ScramVerifier verifier_;
};

}  // namespace merpati::auth
