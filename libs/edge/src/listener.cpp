#include "merpati/edge/listener.hpp"

#include "merpati/runtime/log.hpp"

namespace merpati::edge {

Result<std::shared_ptr<net::TlsContext>> load_certificate(const config::v1::Tls& config) {
  if (config.certificate_file().empty()) return std::shared_ptr<net::TlsContext>();
  net::TlsContext::Options options;
  options.certificates.push_back({config.certificate_file(), config.key_file()});
  if (!config.min_version().empty()) options.min_version = config.min_version();
  return net::TlsContext::load(std::move(options));
}

asio::awaitable<void> watch_certificate(std::shared_ptr<net::TlsContext> tls, std::string protocol) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const std::string kept = protocol + "_certificate_unusable";
  const std::string changed = protocol + "_certificate_reloaded";
  for (;;) {
    if ((co_await sleep_for(std::chrono::seconds(5))).has_error()) co_return;
    const auto reloaded = tls->reload_if_changed();
    if (reloaded.has_error()) {
      log::warning(kept, "the new certificate cannot be used", {{"error", reloaded.error().describe()}});
    } else if (*reloaded) {
      log::info(changed, "new sessions get the new certificate");
    }
  }
}

std::string listener_name(const config::v1::Listener& listener, std::string_view protocol) {
  return listener.name().empty() ? std::string(protocol) + "-" + std::to_string(listener.port()) : listener.name();
}

Result<net::ListenerOptions> listener_options(const config::v1::Listener& listener, std::string_view protocol,
                                              std::shared_ptr<net::TlsContext> tls) {
  net::ListenerOptions options;
  options.name = listener_name(listener, protocol);
  if (!listener.address().empty()) options.address = listener.address();
  options.port = static_cast<std::uint16_t>(listener.port());
  const bool implicit = listener.tls() == config::v1::TLS_MODE_IMPLICIT;
  if (implicit && tls == nullptr) {
    return Error(ErrorCode::kInvalidArgument,
                 "listener " + options.name + " needs " + std::string(protocol) + ".tls.certificate_file");
  }
  if (implicit) {
    options.tls = net::ListenerOptions::Tls::kImplicit;
  } else if (tls != nullptr && listener.tls() != config::v1::TLS_MODE_NONE) {
    options.tls = net::ListenerOptions::Tls::kOnDemand;
  }
  options.tls_context = std::move(tls);
  MERPATI_TRY(options.proxy_from, net::CidrSet::parse(listener.proxy_trusted()));
  options.limits = std::make_shared<net::ConnectionLimits>(net::ConnectionLimits::Options{
      listener.max_connections(), listener.max_connections_per_address(), options.proxy_from});
  return options;
}

}  // namespace merpati::edge
