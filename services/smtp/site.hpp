// What all SMTP sessions of a process share: settings, peers, caches and counters. Made by the module, outlives
// sessions.
#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/filter/v1/filter.rpc.hpp"
#include "merpati/filter/v1/milters.rpc.hpp"
#include "merpati/net/account_connections.hpp"
#include "merpati/net/address.hpp"
#include "merpati/net/tls.hpp"
#include "merpati/queue/v1/queue.rpc.hpp"
#include "merpati/rpc/revocations.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "merpati/trace/recorder.hpp"
#include "smtp/milter_watch.hpp"
#include "smtp/probe.hpp"
#include "smtp/recipient_cache.hpp"

namespace merpati::smtp {

/// Settings of the service, with the defaults of proto/merpati/config/v1/smtp.proto.
struct Policy {
  std::string hostname = "localhost";
  std::uint64_t max_message_size = 50 * 1024 * 1024;
  std::uint32_t max_recipients = 1000;
  std::uint32_t max_errors = 20;
  std::uint32_t max_transactions = 1000;
  std::chrono::nanoseconds command_timeout = std::chrono::minutes(5);
  std::chrono::nanoseconds data_timeout = std::chrono::minutes(3);
  std::chrono::nanoseconds session_timeout = std::chrono::hours(1);
  std::uint64_t spill_threshold = 1024 * 1024;
  std::string spill_directory = "/tmp";
  std::uint64_t max_bytes_in_flight = 1024 * 1024 * 1024;
  bool check_from_header = true;  ///< of submitted mail
  std::uint32_t max_connections_per_account = 100;
  std::string postmaster;  ///< who gets the mail to postmasters that do not exist; empty: nobody
};

/// What a listener is for.
struct Door {
  enum class Kind { kMx, kSubmission };
  std::string name = "mx";
  Kind kind = Kind::kMx;
  bool starttls = false;
  bool plaintext_login_from_loopback = false;
  bool accept_unfiltered = false;  ///< when the filter does not answer
  net::CidrSet trusted_proxies;
};

struct Site {
  Site(Policy given, runtime::Metrics& metrics, asio::thread_pool& pool, std::shared_ptr<rpc::Channel> auth_channel,
       std::shared_ptr<rpc::Channel> filter_channel, std::shared_ptr<rpc::Channel> store_channel,
       std::shared_ptr<rpc::Channel> queue_channel)
      : policy(std::move(given)),
        probe(metrics),
        blocking(pool),
        auth(std::move(auth_channel)),
        filter(filter_channel),
        milters(std::move(filter_channel)),
        store(std::move(store_channel)),
        queue(std::move(queue_channel)) {}

  Policy policy;
  std::shared_ptr<net::TlsContext> tls;  ///< null: no STARTTLS
  Probe probe;
  asio::thread_pool& blocking;
  auth::v1::AuthClient auth;
  filter::v1::FilterClient filter;
  filter::v1::MiltersClient milters;
  MilterWatch milter_watch;
  store::v1::StoreClient store;
  queue::v1::QueueClient queue;
  RecipientCache recipients;
  rpc::Revocations revocations;
  net::AccountConnections accounts;
  std::atomic<std::uint64_t> bytes_in_flight = 0;
  std::unique_ptr<trace::Recorder> events;  ///< null: no events of messages' lives are kept
};

}  // namespace merpati::smtp
