// What all sessions of the process share: settings, the backends' clients, metrics. Immutable but for what is thread
// safe.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/edge/in_flight.hpp"
#include "merpati/edge/probe.hpp"
#include "merpati/filter/v1/scripts.rpc.hpp"
#include "merpati/net/account_connections.hpp"
#include "merpati/net/address.hpp"
#include "merpati/net/tls.hpp"
#include "merpati/rpc/revocations.hpp"

namespace merpati::managesieve {

struct Settings {
  std::string hostname;
  std::chrono::nanoseconds idle_timeout = std::chrono::minutes(30);  // RFC 5804 1.2: at least 30 minutes
  std::chrono::nanoseconds login_timeout = std::chrono::minutes(1);
  std::chrono::nanoseconds session_timeout{};  ///< zero: none
  std::chrono::nanoseconds call_timeout = std::chrono::seconds(30);
  std::size_t max_script = 1024 * 1024;  ///< octets of literals in one command
  std::uint64_t max_bytes_in_flight = 256ULL << 20;
  unsigned max_failed_logins = 3;
  unsigned max_errors = 20;
  unsigned max_connections_per_account = 20;
  unsigned max_redirects = 4;
};

/// What a listener decides for its sessions.
struct Door {
  std::string name;
  bool starttls = false;
  bool plaintext_login_from_loopback = false;
  net::CidrSet proxies;  ///< load balancers: a client of such an address is the balancer itself
};

struct Site {
  Site(Settings s, auth::v1::AuthClient a, filter::v1::ScriptsClient f, edge::Probe p)
      : settings(std::move(s)),
        auth(std::move(a)),
        scripts(std::move(f)),
        probe(p),
        in_flight(settings.max_bytes_in_flight) {}
  const Settings settings;
  const auth::v1::AuthClient auth;
  const filter::v1::ScriptsClient scripts;
  const edge::Probe probe;
  rpc::Revocations revocations;
  net::AccountConnections accounts;
  edge::InFlight in_flight;
  std::shared_ptr<net::TlsContext> tls;  ///< null: no TLS
};

}  // namespace merpati::managesieve
