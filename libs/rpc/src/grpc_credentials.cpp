#include "grpc_credentials.hpp"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <fstream>
#include <functional>

#include "grpc_order.hpp"

namespace merpati::rpc {

namespace {

namespace tls = grpc::experimental;
constexpr unsigned kReloadSeconds = 10;

std::shared_ptr<tls::CertificateProviderInterface> provider(const Credentials& files) {
  return std::make_shared<tls::FileWatcherCertificateProvider>(files.key_file, files.certificate_file, files.ca_file,
                                                               kReloadSeconds);
}

// gRPC has verified the chain; this looks at whose certificate it is. The host name is of no interest: replicas are
// pods.
class ServerRoleVerifier final : public tls::ExternalCertificateVerifier {
 public:
  ServerRoleVerifier(std::string trust_domain, Role role) : trust_domain_(std::move(trust_domain)), role_(role) {
    given_to_grpc(this);
  }
  ~ServerRoleVerifier() override { destroyed_by_grpc(this); }

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    for (const auto& uri : request->uri_names()) {
      if (role_from_uri(std::string_view(uri.data(), uri.size()), trust_domain_) == role_) return true;
    }
    *status = grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                           "the server's certificate does not name the role " + std::string(to_string(role_)));
    return true;
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}

 private:
  const std::string trust_domain_;
  const Role role_;
};

// A server looks at roles call by call.
class AnyVerifier final : public tls::ExternalCertificateVerifier {
 public:
  bool Verify(tls::TlsCustomVerificationCheckRequest*, std::function<void(grpc::Status)>, grpc::Status*) override {
    return true;
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}
};

}  // namespace

std::optional<Role> role_from_uri(std::string_view uri, std::string_view trust_domain) {
  constexpr std::string_view kScheme = "spiffe://";
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  if (!uri.starts_with(trust_domain)) return std::nullopt;
  uri.remove_prefix(trust_domain.size());
  if (!uri.starts_with('/')) return std::nullopt;
  return role_from(uri.substr(1));
}

Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const std::optional<Credentials>& files,
                                                                    bool allow_anonymous) {
  if (!files) return grpc::InsecureServerCredentials();
  for (const auto& file : {files->ca_file, files->certificate_file, files->key_file})
    if (!std::ifstream(file)) return Error(ErrorCode::kUnavailable, "cannot read " + file);
  tls::TlsServerCredentialsOptions options(provider(*files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(allow_anonymous ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                                                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<AnyVerifier>());
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const std::optional<Credentials>& files,
                                                              Role server_role) {
  if (!files) return grpc::InsecureChannelCredentials();
  tls::TlsChannelCredentialsOptions options;
  const bool anonymous = files->certificate_file.empty();
  options.set_certificate_provider(
      anonymous ? std::make_shared<tls::FileWatcherCertificateProvider>(files->ca_file, kReloadSeconds)
                : provider(*files));
  options.watch_root_certs();
  if (!anonymous) options.watch_identity_key_cert_pairs();
  options.set_check_call_host(false);
  options.set_certificate_verifier(
      tls::ExternalCertificateVerifier::Create<ServerRoleVerifier>(files->trust_domain, server_role));
  return tls::TlsCredentials(options);
}

std::optional<Role> peer_role(const grpc::ServerContextBase& context, const std::string& trust_domain) {
  const auto identity = context.auth_context();
  if (!identity || !identity->IsPeerAuthenticated()) return Role::kAnonymous;
  const auto uris = identity->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME);
  for (const auto& uri : uris)
    if (auto role = role_from_uri(std::string_view(uri.data(), uri.size()), trust_domain)) return role;
  return std::nullopt;
}

}  // namespace merpati::rpc
