// TLS contexts. A server's context is swapped live when its files change; sessions keep the one they began with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "merpati/base/result.hpp"

using SSL_CTX = struct ssl_ctx_st;  // OpenSSL's own name, so that its headers stay out of ours

namespace merpati::net {

/// A server's certificates. Thread safe.
class TlsContext {
 public:
  struct Certificate {
    std::string chain_file;  ///< PEM, leaf first
    std::string key_file;    ///< PEM
  };
  struct Options {
    std::vector<Certificate> certificates;  ///< the first is used when the client's name (SNI) fits no other
    std::string ciphers_tls12;              ///< empty: forward secret AEAD suites, then CBC ones
    std::string min_version = "1.2";        ///< "1.2" or "1.3"
    /// PEM. Not empty: between services. A client must show a certificate of one of these authorities; TLS 1.3 only;
    /// buffers are kept and filled ahead, since such connections are few and busy.
    std::string client_authorities;
  };

  /// kFailedPrecondition, naming the file, when something cannot be read or does not fit together.
  static Result<std::shared_ptr<TlsContext>> load(Options options);
  ~TlsContext();

  /// Looks at the files (inode, time, size) and loads them anew when any changed: true then. On an error the
  /// certificates in use stay. Meant to be called every few seconds; mounted Secrets change by a symlink's swap.
  Result<bool> reload_if_changed();
  /// The context for a new session.
  std::shared_ptr<SSL_CTX> current() const;

 private:
  explicit TlsContext(Options options);
  struct State;
  std::unique_ptr<State> state_;
};

/// The client's side of TLS (outbound SMTP, calls between services, tests). Thread safe.
class TlsClientContext {
 public:
  enum class Verify {
    kNone,   ///< opportunistic: any certificate (RFC 7435)
    kPeer,   ///< chain and host name must be right (RFC 6125)
    kChain,  ///< between services: the chain must be right, whose certificate it is the caller checks; TLS 1.3 only
  };
  struct Options {
    Verify verify = Verify::kPeer;
    std::string ca_file;                  ///< PEM; empty: the system's authorities
    TlsContext::Certificate certificate;  ///< the client's own; none when its files are empty
  };
  /// kFailedPrecondition, naming the file, when something cannot be read or does not fit together.
  static Result<std::shared_ptr<TlsClientContext>> make(Options options);
  ~TlsClientContext();
  /// As TlsContext's.
  Result<bool> reload_if_changed();
  std::shared_ptr<SSL_CTX> current() const;
  Verify verify() const;

 private:
  explicit TlsClientContext(Options options);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace merpati::net
