// Settings of the IMAP edge as its sessions use them; made from merpati.config.v1.Imap in module.cpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "merpati/net/address.hpp"

namespace merpati::imap {

struct Options {
  std::string hostname = "localhost";
  std::chrono::nanoseconds idle_timeout = std::chrono::minutes(30);  ///< RFC 9051 5.4: 30 minutes at least
  std::chrono::nanoseconds login_timeout = std::chrono::minutes(1);
  std::chrono::nanoseconds session_timeout{0};  ///< 0: none
  std::chrono::nanoseconds write_timeout = std::chrono::minutes(5);
  std::chrono::nanoseconds call_timeout = std::chrono::seconds(30);  ///< of one call to a backend
  std::size_t max_line = 64 * 1024;
  std::size_t max_literals = 256 * 1024;
  std::uint64_t max_append = 50ULL * 1024 * 1024;
  std::uint64_t max_bytes_in_flight = 1024ULL * 1024 * 1024;
  unsigned max_failed_logins = 3;
  unsigned max_errors = 20;
  unsigned max_connections_per_account = 100;
};

/// What of a listener a session must know.
struct ListenerTraits {
  bool starttls = false;  ///< STARTTLS is offered while the connection is plain
  bool plaintext_login_from_loopback = false;
  std::shared_ptr<const net::CidrSet> proxies;  ///< trusted ones, which no failed login counts against
};

}  // namespace merpati::imap
