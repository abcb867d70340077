// What all sessions of the process share: settings, the backends' clients, metrics. Immutable but for what is thread
// safe.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/clock.hpp"
#include "merpati/base/guarded.hpp"
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
  std::chrono::nanoseconds login_delay{};  ///< zero: none
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

/// When an account may log in again (RFC 2449 6.5). Thread safe; known to this process alone.
class LoginDelays {
 public:
  explicit LoginDelays(std::chrono::nanoseconds delay) : delay_(delay) {}
  /// Notes a login; false when the last one is too recent.
  bool admit(std::int64_t account, SteadyTime now);

 private:
  std::chrono::nanoseconds delay_;
  Guarded<std::unordered_map<std::int64_t, SteadyTime>> last_;
};

struct Edge {
  Edge(Settings s, auth::v1::AuthClient a, store::v1::StoreClient st, Probe p)
      : settings(std::move(s)),
        auth(std::move(a)),
        store(std::move(st)),
        probe(std::move(p)),
        delays(settings.login_delay) {}
  Settings settings;
  auth::v1::AuthClient auth;
  store::v1::StoreClient store;
  Probe probe;
  LoginDelays delays;
  std::shared_ptr<net::TlsContext> tls;  ///< null: no TLS
};

}  // namespace merpati::pop3
