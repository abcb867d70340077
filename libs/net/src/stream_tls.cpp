// The TLS half of Stream: OpenSSL on the socket itself, waiting for readiness when it asks.
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "stream_impl.hpp"
#include "tls_errors.hpp"

namespace merpati::net {

using asio::ip::tcp;

Stream::Attempt Stream::Impl::tls_outcome(int result) const {
  switch (SSL_get_error(tls.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {Attempt::State::kWaitRead};
    case SSL_ERROR_WANT_WRITE:
      return {Attempt::State::kWaitWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {Attempt::State::kDone, 0};
    default:
      return {Attempt::State::kFailed};
  }
}

Stream::Attempt Stream::Impl::tls_read(std::span<char> into) {
  ERR_clear_error();  // SSL_get_error reads this thread's queue, which another session may have left dirty
  std::size_t got = 0;
  const int result = SSL_read_ex(tls.get(), into.data(), into.size(), &got);
  if (result == 1) return {Attempt::State::kDone, got};
  return tls_outcome(result);
}

Stream::Attempt Stream::Impl::tls_write(std::string_view bytes) {
  ERR_clear_error();
  std::size_t sent = 0;
  const int result = SSL_write_ex(tls.get(), bytes.data(), bytes.size(), &sent);
  if (result == 1) return {Attempt::State::kDone, sent};
  const auto outcome = tls_outcome(result);
  if (outcome.state == Attempt::State::kDone) return {Attempt::State::kFailed};  // the peer has said goodbye
  return outcome;
}

Task<void> Stream::Impl::handshake(Deadline until) {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(tls.get());
    if (result == 1) co_return Result<void>();
    switch (tls_outcome(result).state) {
      case Attempt::State::kWaitRead: {
        MERPATI_CO_CHECK(co_await wait_for(tcp::socket::wait_read, until));
        break;
      }
      case Attempt::State::kWaitWrite: {
        MERPATI_CO_CHECK(co_await wait_for(tcp::socket::wait_write, until));
        break;
      }
      default:
        co_return tls_error(ErrorCode::kUnavailable, "TLS handshake failed");
    }
  }
}

Task<void> Stream::start_tls(const TlsContext& context, Deadline deadline) {
  const auto impl = impl_;
  impl->context = context.current();
  impl->tls.reset(SSL_new(impl->context.get()));
  if (!impl->tls) co_return tls_error(ErrorCode::kInternal, "no TLS session");
  SSL_set_fd(impl->tls.get(), impl->socket.native_handle());
  SSL_set_accept_state(impl->tls.get());
  co_return co_await impl->handshake(deadline);
}

Task<void> Stream::start_tls(const TlsClientContext& context, const std::string& name, Deadline deadline) {
  const auto impl = impl_;
  impl->context = context.current();
  impl->tls.reset(SSL_new(impl->context.get()));
  if (!impl->tls) co_return tls_error(ErrorCode::kInternal, "no TLS session");
  SSL_set_fd(impl->tls.get(), impl->socket.native_handle());
  SSL_set_connect_state(impl->tls.get());
  boost::system::error_code is_name;
  const auto address = asio::ip::make_address(name, is_name);
  if (is_name && !name.empty()) SSL_set_tlsext_host_name(impl->tls.get(), name.c_str());  // RFC 6066 3: names only
  if (context.verify() == TlsClientContext::Verify::kPeer) {
    auto* check = SSL_get0_param(impl->tls.get());
    if (is_name) {
      X509_VERIFY_PARAM_set1_host(check, name.c_str(), name.size());
    } else {
      X509_VERIFY_PARAM_set1_ip_asc(check, address.to_string().c_str());
    }
  }
  co_return co_await impl->handshake(deadline);
}

bool Stream::is_tls() const { return impl_->tls != nullptr; }

TlsInfo Stream::tls_info() const {
  TlsInfo info;
  const auto* tls = impl_->tls.get();
  if (tls == nullptr) return info;
  info.version = SSL_get_version(tls);
  if (const char* cipher = SSL_get_cipher_name(tls)) info.cipher = cipher;
  info.bits = SSL_get_cipher_bits(tls, nullptr);
  if (const char* name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name)) info.server_name = name;
  return info;
}

std::vector<std::string> Stream::peer_uris() const {
  std::vector<std::string> uris;
  const auto* tls = impl_->tls.get();
  X509* certificate = tls == nullptr ? nullptr : SSL_get0_peer_certificate(tls);
  if (certificate == nullptr) return uris;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const auto* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const auto* text = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  return uris;
}

std::string Stream::tls_exporter() const {
  auto* tls = impl_->tls.get();
  if (tls == nullptr) return {};
  // RFC 9266 4.2: before TLS 1.3 only with the extended master secret (RFC 7627).
  if (SSL_version(tls) < TLS1_3_VERSION && SSL_get_extms_support(tls) != 1) return {};
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  std::string out(32, '\0');
  const unsigned char no_context[1] = {};
  if (SSL_export_keying_material(tls, reinterpret_cast<unsigned char*>(out.data()), out.size(), kLabel.data(),
                                 kLabel.size(), no_context, 0, 1) != 1)
    return {};
  return out;
}

std::string Stream::tls_server_end_point() const {
  const auto* tls = impl_->tls.get();
  if (tls == nullptr) return {};
  X509* certificate = SSL_is_server(tls) == 1 ? SSL_get_certificate(tls) : SSL_get0_peer_certificate(tls);
  if (certificate == nullptr) return {};
  int digest = NID_undef;
  if (X509_get_signature_info(certificate, &digest, nullptr, nullptr, nullptr) != 1) return {};
  // RFC 5929 4.1: SHA-256 in place of MD5 and SHA-1; undefined for signatures without a digest (Ed25519).
  if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
  const auto* algorithm = EVP_get_digestbynid(digest);
  if (algorithm == nullptr) return {};
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, algorithm, out, &size) != 1) return {};
  return {reinterpret_cast<const char*>(out), size};
}

}  // namespace merpati::net
