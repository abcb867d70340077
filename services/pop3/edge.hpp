// What all sessions of the process share: settings, the backends' clients, metrics. Immutable but for what is thread
// safe.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/clock.hpp"
#include "merpati/base/task.hpp"
#include "merpati/net/address.hpp"
#include "merpati/net/tls.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "pop3/probe.hpp"

namespace merpati::pop3 {

struct Settings {
  std::string hostname;
  std::chrono::nanoseconds idle_timeout = std::chrono::minutes(10);  // RFC 1939 3: at least 10 minutes
  std::chrono::nanoseconds login_timeout = std::chrono::minutes(1);
  std::chrono::nanoseconds call_timeout = std::chrono::seconds(30);
  std::chrono::nanoseconds lease = std::chrono::seconds(60);
  std::chrono::nanoseconds session_timeout{};  ///< zero: none
  std::chrono::nanoseconds login_delay{};      ///< zero: none
  unsigned max_failed_logins = 3;
  unsigned max_errors = 20;
};

/// What a listener decides for its sessions.
struct ListenerPolicy {
  std::string name;
  bool offers_stls = false;
  bool plaintext_login_from_loopback = false;
  net::CidrSet proxies;  ///< load balancers: a client of such an address is the balancer itself
};

struct Edge {
  Edge(Settings s, auth::v1::AuthClient a, store::v1::StoreClient st, Probe p)
      : settings(std::move(s)), auth(std::move(a)), store(std::move(st)), probe(p) {}
  Settings settings;
  auth::v1::AuthClient auth;
  store::v1::StoreClient store;
  Probe probe;
  std::shared_ptr<net::TlsContext> tls;  ///< null: no TLS
  TaskGroup* background = nullptr;       ///< the module's, which outlives the sessions
};

}  // namespace merpati::pop3
