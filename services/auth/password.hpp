// Passwords: Argon2id on threads of their own, so that a wave of logins neither stalls a loop nor eats the memory.
#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <string>

#include "auth/directory.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::auth {

struct PasswordOptions {
  unsigned parallel = 1;
  std::size_t memory = 64ULL * 1024 * 1024;  ///< octets of one computation
  unsigned passes = 2;
  std::size_t max_waiting = 1000;
  int scram_iterations = 65'536;  ///< 0: no verifiers
};

/// Thread safe. Passwords are prepared (address.hpp, prepare_password).
class Passwords {
 public:
  Passwords(PasswordOptions options, runtime::Metrics& metrics);
  ~Passwords();

  /// Whether `password` is the one of `hash`; an empty hash costs the same and is never right. kUnavailable when too
  /// many wait.
  Task<bool> verify(std::string hash, std::string password);
  Task<Credential> make(std::string password, bool with_scram);

 private:
  template <class Call>
  auto run(Call call) -> asio::awaitable<std::invoke_result_t<Call>>;

  const PasswordOptions options_;
  const std::string nobody_;  ///< the hash that unknown users are checked against
  std::atomic<std::size_t> waiting_ = 0;
  runtime::Histogram seconds_;
  runtime::Gauge waiting_gauge_;
  asio::thread_pool pool_;
};

}  // namespace merpati::auth
