// The resolver of the house: libunbound, which caches, and validates when it has a trust anchor.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "merpati/dns/resolver.hpp"

namespace merpati::dns {

struct UnboundOptions {
  std::vector<std::string> servers;  ///< "address" or "address@port" to ask; empty: those of /etc/resolv.conf
  bool recursive = false;            ///< ask the authoritative servers ourselves, and nobody of the above
  std::string trust_anchor_file;     ///< root key for DNSSEC; empty: nothing is validated
  std::size_t max_lookups = 2000;    ///< in flight, those that nobody waits for any more included; more fail at once
};

/// `home` is a single-threaded executor that answers are processed on; it outlives the resolver and stops after it.
Result<std::shared_ptr<Resolver>> make_unbound_resolver(asio::any_io_executor home, const UnboundOptions& options);

}  // namespace merpati::dns
