// Listeners and their certificate, from the configuration.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "merpati/config/v1/common.pb.h"
#include "merpati/net/server.hpp"
#include "merpati/net/tls.hpp"

namespace merpati::edge {

/// Null when no certificate is configured.
Result<std::shared_ptr<net::TlsContext>> load_certificate(const config::v1::Tls& config);

/// Mounted certificates change without a restart. Runs until it is cancelled; logs as
/// "<protocol>_certificate_reloaded".
asio::awaitable<void> watch_certificate(std::shared_ptr<net::TlsContext> tls, std::string protocol);

/// "imap-2143" where it has no name of its own.
std::string listener_name(const config::v1::Listener& listener, std::string_view protocol);

/// All but `busy_reply`. `tls` may be null: TLS on demand is not offered then, and an implicit one is an error that
/// names the protocol's key.
Result<net::ListenerOptions> listener_options(const config::v1::Listener& listener, std::string_view protocol,
                                              std::shared_ptr<net::TlsContext> tls);

}  // namespace merpati::edge
