#include "merpati/net/tls.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <tuple>

#include "merpati/base/guarded.hpp"
#include "tls_errors.hpp"

namespace merpati::net {
namespace {

using Context = std::shared_ptr<SSL_CTX>;
using Stamp = std::tuple<ino_t, time_t, long, off_t>;

constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!MD5:!DSS";

/// What every context has, of either side.
Context bare_context(const SSL_METHOD* method) {
  // OpenSSL writes to the socket itself and cannot pass MSG_NOSIGNAL.
  static const bool pipe_ignored = std::signal(SIGPIPE, SIG_IGN) != SIG_ERR;
  static_cast<void>(pipe_ignored);
  Context context(SSL_CTX_new(method), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // resumption is by tickets, without state
  return context;
}

Stamp stamp_of(const std::string& file) {
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) return {};
  return {about.st_ino, about.st_mtim.tv_sec, about.st_mtim.tv_nsec, about.st_size};
}

/// Between services: connections are few, live long and carry much. No tickets: nobody resumes.
void for_services(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_clear_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_read_ahead(context, 1);  // a record's header and body by one call
  SSL_CTX_set_default_read_buffer_len(context, 64 * 1024);
}

Result<void> use_certificate(SSL_CTX* context, const TlsContext::Certificate& files) {
  if (SSL_CTX_use_certificate_chain_file(context, files.chain_file.c_str()) != 1)
    return tls_error(ErrorCode::kFailedPrecondition, "cannot use certificate " + files.chain_file);
  if (SSL_CTX_use_PrivateKey_file(context, files.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return tls_error(ErrorCode::kFailedPrecondition, "cannot use private key " + files.key_file);
  if (SSL_CTX_check_private_key(context) != 1)
    return tls_error(ErrorCode::kFailedPrecondition, "the key " + files.key_file + " is not of " + files.chain_file);
  return {};
}

Result<Context> load_one(const TlsContext::Certificate& files, const TlsContext::Options& options) {
  ERR_clear_error();
  auto context = bare_context(TLS_server_method());
  if (options.min_version == "1.3") {
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  } else if (options.min_version != "1.2" && !options.min_version.empty()) {
    return Error(ErrorCode::kInvalidArgument, "lowest TLS version is neither 1.2 nor 1.3: " + options.min_version);
  }
  const char* ciphers = options.ciphers_tls12.empty() ? kCiphers : options.ciphers_tls12.c_str();
  if (SSL_CTX_set_cipher_list(context.get(), ciphers) != 1)
    return tls_error(ErrorCode::kInvalidArgument, std::string("no such TLS ciphers: ") + ciphers);
  SSL_CTX_set_dh_auto(context.get(), 1);
  SSL_CTX_set_num_tickets(context.get(), 1);
  // Sessions are bound to nothing but the key, so any name does; OpenSSL wants one as soon as clients resume.
  static constexpr unsigned char kSessionContext[] = "merpati";
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof kSessionContext - 1);
  MERPATI_CHECK(use_certificate(context.get(), files));
  if (!options.client_authorities.empty()) {
    for_services(context.get());
    if (SSL_CTX_load_verify_locations(context.get(), options.client_authorities.c_str(), nullptr) != 1)
      return tls_error(ErrorCode::kFailedPrecondition, "cannot read authorities " + options.client_authorities);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

/// The contexts of one load. The first one holds the others, by the SNI callback's argument.
struct Loaded {
  std::vector<Context> others;
};

int choose_by_name(SSL* session, int*, void* argument) {
  const auto* loaded = static_cast<const Loaded*>(argument);
  const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_OK;
  for (const auto& other : loaded->others) {
    X509* certificate = SSL_CTX_get0_certificate(other.get());
    if (X509_check_host(certificate, name, std::strlen(name), 0, nullptr) == 1) {
      SSL_set_SSL_CTX(session, other.get());
      break;
    }
  }
  return SSL_TLSEXT_ERR_OK;
}

Result<Context> load_all(const TlsContext::Options& options) {
  auto loaded = std::make_shared<Loaded>();
  Context first;
  for (const auto& files : options.certificates) {
    MERPATI_TRY(auto context, load_one(files, options));
    if (first) {
      loaded->others.push_back(std::move(context));
    } else {
      first = std::move(context);
    }
  }
  SSL_CTX_set_tlsext_servername_callback(first.get(), choose_by_name);
  SSL_CTX_set_tlsext_servername_arg(first.get(), loaded.get());
  // The handle lives as long as anybody holds it, and the table of names with it.
  SSL_CTX* raw = first.get();
  return Context(raw, [first = std::move(first), loaded](SSL_CTX*) {});
}

/// A context and the state of the files that it was made of.
class Reloaded {
 public:
  /// Makes it when there is none, and anew when a file has changed; what is in use stays when that fails.
  template <class Make>
  Result<bool> refresh(const std::vector<std::string>& files, Make make) {
    // Stamps first: a change during the load is then seen the next time.
    std::vector<Stamp> stamps;
    for (const auto& file : files) stamps.push_back(stamp_of(file));
    const bool same = current_.with([&](auto& now) { return now.context && now.stamps == stamps; });
    if (same) return false;
    MERPATI_TRY(auto context, make());
    current_.with([&](auto& now) {
      now.context = std::move(context);
      now.stamps = std::move(stamps);
    });
    return true;
  }
  Context get() const {
    return current_.with([](const auto& now) { return now.context; });
  }

 private:
  struct Current {
    Context context;
    std::vector<Stamp> stamps;
  };
  Guarded<Current> current_;
};

Result<Context> load_client(const TlsClientContext::Options& options) {
  ERR_clear_error();
  using Verify = TlsClientContext::Verify;
  auto context = bare_context(TLS_client_method());
  if (options.verify == Verify::kChain) for_services(context.get());
  if (options.verify != Verify::kNone) {
    const int loaded = options.ca_file.empty()
                           ? SSL_CTX_set_default_verify_paths(context.get())
                           : SSL_CTX_load_verify_locations(context.get(), options.ca_file.c_str(), nullptr);
    if (loaded != 1) return tls_error(ErrorCode::kFailedPrecondition, "cannot read authorities " + options.ca_file);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  if (!options.certificate.chain_file.empty()) MERPATI_CHECK(use_certificate(context.get(), options.certificate));
  return context;
}

}  // namespace

struct TlsContext::State {
  Options options;
  Reloaded context;
};

TlsContext::TlsContext(Options options) : state_(std::make_unique<State>()) { state_->options = std::move(options); }
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::load(Options options) {
  if (options.certificates.empty()) return Error(ErrorCode::kInvalidArgument, "no TLS certificate is configured");
  std::shared_ptr<TlsContext> made(new TlsContext(std::move(options)));
  MERPATI_CHECK(made->reload_if_changed());
  return made;
}

Result<bool> TlsContext::reload_if_changed() {
  const auto& options = state_->options;
  std::vector<std::string> files;
  for (const auto& pair : options.certificates) files.insert(files.end(), {pair.chain_file, pair.key_file});
  if (!options.client_authorities.empty()) files.push_back(options.client_authorities);
  return state_->context.refresh(files, [&] { return load_all(options); });
}

std::shared_ptr<SSL_CTX> TlsContext::current() const { return state_->context.get(); }

struct TlsClientContext::State {
  Options options;
  Reloaded context;
};

TlsClientContext::TlsClientContext(Options options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
}
TlsClientContext::~TlsClientContext() = default;

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::make(Options options) {
  std::shared_ptr<TlsClientContext> made(new TlsClientContext(std::move(options)));
  MERPATI_CHECK(made->reload_if_changed());
  return made;
}

Result<bool> TlsClientContext::reload_if_changed() {
  const auto& options = state_->options;
  const auto& own = options.certificate;
  return state_->context.refresh({options.ca_file, own.chain_file, own.key_file}, [&] { return load_client(options); });
}

std::shared_ptr<SSL_CTX> TlsClientContext::current() const { return state_->context.get(); }
TlsClientContext::Verify TlsClientContext::verify() const { return state_->options.verify; }

}  // namespace merpati::net
