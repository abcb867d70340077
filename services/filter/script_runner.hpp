// ScriptRunner: runs scripts, and fetches what they ask for of an account's mailboxes and scripts.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "filter/delivery_world.hpp"
#include "filter/script_cache.hpp"
#include "filter/scripts.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/sieve/interpreter.hpp"

namespace merpati::filter {

inline constexpr std::size_t kSmallMessage = 64 * 1024;  ///< octets
inline constexpr int kMostScriptRounds = 100;  ///< of asking for what a script wants to know: each answers one question

/// Thread safe.
class ScriptRunner {
 public:
  /// Without `auth` no address is known but those that the world has.
  ScriptRunner(Scripts& scripts, ScriptCache& cache, std::shared_ptr<rpc::Channel> auth,
               std::shared_ptr<rpc::Channel> store, asio::thread_pool& blocking)
      : scripts_(scripts), cache_(cache), auth_(std::move(auth)), store_(std::move(store)), blocking_(blocking) {}

  /// One run over the message, without effects. Small messages and few steps run where we are, others on `blocking`.
  asio::awaitable<sieve::Outcome> execute(const std::vector<sieve::NamedScript>& scripts, std::string_view message,
                                          const sieve::Envelope& envelope, DeliveryWorld& world,
                                          const sieve::RunOptions& options);

  /// What `world` wants. `call` names the account and its cell.
  Task<void> fetch_mailboxes(DeliveryWorld& world, rpc::CallOptions call);
  Task<void> fetch_includes(DeliveryWorld& world, std::int64_t account, Deadline deadline);
  Task<void> fetch_addresses(DeliveryWorld& world, std::int64_t account, Deadline deadline);

 private:
  Scripts& scripts_;
  ScriptCache& cache_;
  std::shared_ptr<rpc::Channel> auth_, store_;
  asio::thread_pool& blocking_;
};

/// Places to file into that only the store knows: by id or by use.
bool needs_mailboxes(const sieve::Outcome& outcome);

}  // namespace merpati::filter
