// What the sessions of one loop share.
#pragma once

#include <memory>

#include "imap/junk_teacher.hpp"
#include "imap/options.hpp"
#include "imap/probe.hpp"
#include "imap/script_events.hpp"
#include "imap/uid_set_cache.hpp"
#include "imap/watchers.hpp"
#include "merpati/edge/in_flight.hpp"
#include "merpati/net/account_connections.hpp"
#include "merpati/rpc/revocations.hpp"

namespace merpati::auth::v1 {
class AuthClient;
}

namespace merpati::net {
class TlsContext;
}

namespace merpati::imap {

struct LoopState {
  asio::any_io_executor executor;
  const Options& options;
  const Probe& probe;
  net::AccountConnections& accounts;
  edge::InFlight& in_flight;
  const rpc::Revocations& revocations;
  std::shared_ptr<store::v1::StoreClient> store;
  std::shared_ptr<auth::v1::AuthClient> auth;
  std::shared_ptr<net::TlsContext> tls;  // null: no STARTTLS
  Watchers watchers;
  UidSetCache uid_sets;
  TaskGroup calls;  ///< calls that run while the session reads on
  std::unique_ptr<JunkTeacher> junk_teacher;
  std::unique_ptr<ScriptEvents> events;
};

}  // namespace merpati::imap
