// Credentials as gRPC wants them, and the peer's role out of its certificate.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <optional>

#include "merpati/base/result.hpp"
#include "merpati/rpc/credentials.hpp"

namespace merpati::rpc {

/// kUnavailable when a file cannot be read.
Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const std::optional<Credentials>& files,
                                                                    bool allow_anonymous);
std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const std::optional<Credentials>& files,
                                                              Role server_role);

/// kAnonymous without a certificate; nullopt when the certificate names no role of ours.
std::optional<Role> peer_role(const grpc::ServerContextBase& context, const std::string& trust_domain);

}  // namespace merpati::rpc
