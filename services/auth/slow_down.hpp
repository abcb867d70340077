// SlowDown: who was wrong too often waits, by real client address and by account. Memory of this process only.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "merpati/base/clock.hpp"
#include "merpati/base/guarded.hpp"
#include "merpati/net/address.hpp"

namespace merpati::auth {

/// Thread safe. Failures are forgotten by half every five minutes.
class SlowDown {
 public:
  explicit SlowDown(net::CidrSet trusted, const Clock& clock = Clock::system());

  struct Client {
    std::string address;  ///< as the edge knows it after PROXY
    bool proxy = false;   ///< the address is a load balancer's own: everybody's, so never penalised
  };
  /// How long this client must still wait for this account; nullopt: none.
  std::optional<std::chrono::milliseconds> wait(const Client& client, const std::string& account);
  void failed(const Client& client, const std::string& account);
  /// Clears the account, and remembers that this client is welcome there whatever others try.
  void succeeded(const Client& client, const std::string& account);

 private:
  struct Score {
    double failures = 0;
    SteadyTime last;
  };
  struct State {
    std::unordered_map<std::string, Score> clients, accounts;
    std::unordered_map<std::string, std::string> welcome;  // account to client
  };
  double now_score(const Score& score) const;
  std::optional<std::chrono::milliseconds> wait_of(const std::unordered_map<std::string, Score>& scores,
                                                   const std::string& key, double free) const;
  void add(std::unordered_map<std::string, Score>& scores, const std::string& key);
  /// Empty for a client that is never penalised.
  std::string key_of(const Client& client) const;

  const net::CidrSet trusted_;
  const Clock& clock_;
  Guarded<State> state_;
};

}  // namespace merpati::auth
