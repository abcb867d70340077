#include "auth/scram.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "merpati/base/encoding.hpp"

namespace merpati::auth {
namespace {

Error malformed(const char* what) {
  return Error(ErrorCode::kInvalidArgument, std::string("SCRAM: ") + what).with_public("malformed SCRAM exchange");
}
Error wrong() { return Error(ErrorCode::kUnauthenticated, "SCRAM: wrong proof"); }

std::string exclusive_or(std::string_view a, std::string_view b) {
  std::string out(a);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(out[i] ^ b[i]);
  return out;
}

/// The next of the attributes separated by commas.
std::string_view take(std::string_view& rest) {
  const auto comma = rest.find(',');
  const auto part = rest.substr(0, comma);
  rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  return part;
}

/// RFC 5802 5.1: "=2C" is a comma and "=3D" an equals sign; nothing else may follow "=".
std::optional<std::string> unescape(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '=') {
      out += name[i];
    } else if (name.substr(i, 3) == "=2C") {
      out += ',', i += 2;
    } else if (name.substr(i, 3) == "=3D") {
      out += '=', i += 2;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

ScramVerifier make_scram_verifier(std::string_view password, std::string salt, int iterations) {
  std::string salted(32, '\0');
  PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                    reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()), iterations,
                    EVP_sha256(), 32, reinterpret_cast<unsigned char*>(salted.data()));
  return {iterations, std::move(salt), sha256(hmac_sha256(salted, "Client Key")), hmac_sha256(salted, "Server Key")};
}

ScramServer::ScramServer(Binding binding, ChannelBindings bindings, std::string nonce)
    : binding_(binding), bindings_(std::move(bindings)), nonce_(std::move(nonce)) {}

Result<void> ScramServer::read_gs2_flag(std::string_view flag) {
  if (flag == "n") {
    if (binding_ == Binding::kPlus) return malformed("PLUS without a channel binding");
    return {};
  }
  if (flag == "y") {
    // RFC 5802 6: the client thinks that we offered no binding. If we could have, somebody removed it on the way.
    if (binding_ == Binding::kPlus || !bindings_.tls_exporter.empty() || !bindings_.tls_server_end_point.empty())
      return malformed("the offer of a channel binding was lost on the way");
    return {};
  }
  if (!flag.starts_with("p=") || binding_ != Binding::kPlus) return malformed("channel binding flag");
  const auto type = flag.substr(2);
  if (type == "tls-exporter") bound_ = bindings_.tls_exporter;
  if (type == "tls-server-end-point") bound_ = bindings_.tls_server_end_point;
  if (bound_.empty()) return malformed("channel binding type");
  return {};
}

Result<void> ScramServer::read_first(std::string_view message) {
  if (message.size() > 4096) return malformed("too long");
  auto rest = message;
  const auto flag = take(rest);
  MERPATI_CHECK(read_gs2_flag(flag));
  const auto authorization = take(rest);
  if (!authorization.empty()) {
    const auto name = authorization.starts_with("a=") ? unescape(authorization.substr(2)) : std::nullopt;
    if (!name) return malformed("authorization id");
    authorization_id_ = *name;
  }
  gs2_header_ = message.substr(0, message.size() - rest.size());
  first_bare_ = rest;
  const auto user = take(rest);
  if (user.starts_with("m=")) return malformed("a mandatory extension");
  const auto name = user.starts_with("n=") ? unescape(user.substr(2)) : std::nullopt;
  const auto nonce = take(rest);
  if (!name || name->empty()) return malformed("user name");
  if (!nonce.starts_with("r=") || nonce.size() < 10) return malformed("nonce");
  user_ = *name;
  nonce_.insert(0, nonce.substr(2));
  return {};
}

std::string ScramServer::challenge(const ScramVerifier& verifier) {
  verifier_ = verifier;
  server_first_ = "r=" + nonce_ + ",s=" + to_base64(verifier.salt) + ",i=" + std::to_string(verifier.iterations);
  return server_first_;
}

Result<std::string> ScramServer::finish(std::string_view message) {
  if (message.size() > 8192) return malformed("too long");
  const auto proof_at = message.rfind(",p=");
  if (proof_at == std::string_view::npos) return malformed("no proof");
  const auto without_proof = message.substr(0, proof_at);
  const auto proof = from_base64(message.substr(proof_at + 3));
  if (!proof || proof->size() != 32) return malformed("proof");
  auto rest = without_proof;
  const auto binding = take(rest), nonce = take(rest);
  const auto bound = binding.starts_with("c=") ? from_base64(binding.substr(2)) : std::nullopt;
  if (!bound) return malformed("channel binding");
  if (*bound != gs2_header_ + bound_) return wrong();  // somebody else's TLS session
  if (nonce != "r=" + nonce_) return malformed("nonce");

  const auto text = first_bare_ + "," + server_first_ + "," + std::string(without_proof);
  const auto client_key = exclusive_or(*proof, hmac_sha256(verifier_.stored_key, text));
  const auto stored = sha256(client_key);
  if (verifier_.stored_key.size() != stored.size() ||
      CRYPTO_memcmp(stored.data(), verifier_.stored_key.data(), stored.size()) != 0)
    return wrong();
  return "v=" + to_base64(hmac_sha256(verifier_.server_key, text));
}

}  // namespace merpati::auth
