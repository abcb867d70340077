// How many connections there may be, in all and from one address. One object is shared by a service's loops.
#pragma once

#include <cstddef>
#include <memory>

#include "merpati/net/address.hpp"

namespace merpati::net {

/// Thread safe. IPv6 clients count by their /64, since one host has all of it.
class ConnectionLimits {
 public:
  struct Options {
    std::size_t total = 0;        ///< 0 = no limit
    std::size_t per_address = 0;  ///< 0 = no limit
    CidrSet exempt;               ///< not limited per address
  };
  /// A place held; given back when destroyed.
  using Place = std::shared_ptr<void>;

  explicit ConnectionLimits(Options options);
  ~ConnectionLimits();

  /// Takes a place in the total; empty when there is none left.
  Place enter();
  /// Takes a place for this client; empty when it has too many.
  Place enter_from(const IpAddress& client);
  std::size_t current() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace merpati::net
