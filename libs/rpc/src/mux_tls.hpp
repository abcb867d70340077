// TLS of Mux connections: mutual, 1.3, and each end looks for the other's role in its certificate.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "merpati/net/stream.hpp"
#include "merpati/rpc/credentials.hpp"

namespace merpati::rpc {

/// The files of one process, read again when they have changed: looked at when a connection is made. Thread safe.
class MuxServerTls {
 public:
  /// kUnavailable when a file cannot be used.
  static Result<std::shared_ptr<MuxServerTls>> load(const Credentials& files);
  /// Shakes hands; the caller's role. kPermissionDenied when its certificate names none.
  Task<Role> accept(net::Stream& stream, Deadline deadline);

 private:
  MuxServerTls(std::shared_ptr<net::TlsContext> context, std::string trust_domain)
      : context_(std::move(context)), trust_domain_(std::move(trust_domain)) {}
  const std::shared_ptr<net::TlsContext> context_;
  const std::string trust_domain_;
};

class MuxClientTls {
 public:
  MuxClientTls(const Credentials& files, Role server_role) : files_(files), server_role_(server_role) {}
  /// Shakes hands; kUnavailable when a file cannot be used or the server's certificate does not name its role.
  Task<void> connect(net::Stream& stream, Deadline deadline);

 private:
  Result<std::shared_ptr<net::TlsClientContext>> context();
  const Credentials files_;
  const Role server_role_;
  std::mutex mutex_;
  std::shared_ptr<net::TlsClientContext> context_;
};

}  // namespace merpati::rpc
