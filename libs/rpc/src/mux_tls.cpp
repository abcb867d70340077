#include "mux_tls.hpp"

#include "merpati/runtime/log.hpp"

namespace merpati::rpc {

namespace {

/// New connections go on with the old files when the new ones are of no use (half written, say).
template <class Context>
void refresh(Context& context) {
  if (auto changed = context.reload_if_changed(); changed.has_error())
    log::info("rpc_certificate_not_reloaded", "the certificate in use stays", {{"error", changed.error().describe()}});
}

std::optional<Role> role_of(const net::Stream& stream, const std::string& trust_domain) {
  for (const auto& uri : stream.peer_uris())
    if (auto role = role_from_uri(uri, trust_domain)) return role;
  return std::nullopt;
}

}  // namespace

Result<std::shared_ptr<MuxServerTls>> MuxServerTls::load(const Credentials& files) {
  net::TlsContext::Options options;
  options.certificates = {{files.certificate_file, files.key_file}};
  options.client_authorities = files.ca_file;
  auto context = net::TlsContext::load(std::move(options));
  if (context.has_error()) return Error(ErrorCode::kUnavailable, context.error().message());
  return std::shared_ptr<MuxServerTls>(new MuxServerTls(*std::move(context), files.trust_domain));
}

Task<Role> MuxServerTls::accept(net::Stream& stream, Deadline deadline) {
  refresh(*context_);
  MERPATI_CO_CHECK(co_await stream.start_tls(*context_, deadline));
  const auto role = role_of(stream, trust_domain_);
  if (!role) co_return Error(ErrorCode::kPermissionDenied, "the certificate names no role");
  co_return *role;
}

Result<std::shared_ptr<net::TlsClientContext>> MuxClientTls::context() {
  const std::lock_guard lock(mutex_);
  if (context_) {
    refresh(*context_);
    return context_;
  }
  net::TlsClientContext::Options options;
  options.verify = net::TlsClientContext::Verify::kChain;
  options.ca_file = files_.ca_file;
  options.certificate = {files_.certificate_file, files_.key_file};
  auto made = net::TlsClientContext::make(std::move(options));
  if (made.has_error()) return Error(ErrorCode::kUnavailable, made.error().message());
  context_ = *std::move(made);
  return context_;
}

Task<void> MuxClientTls::connect(net::Stream& stream, Deadline deadline) {
  MERPATI_CO_TRY(const auto tls, context());
  MERPATI_CO_CHECK(co_await stream.start_tls(*tls, {}, deadline));
  if (role_of(stream, files_.trust_domain) == server_role_) co_return Result<void>();
  co_return Error(ErrorCode::kUnavailable,
                  "the server's certificate does not name the role " + std::string(to_string(server_role_)));
}

}  // namespace merpati::rpc
