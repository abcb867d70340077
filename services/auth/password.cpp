#include "auth/password.hpp"

#include <sodium.h>

#include "auth/scram.hpp"
#include "merpati/base/encoding.hpp"

namespace merpati::auth {
namespace {

Result<std::string> argon2id(const std::string& password, const PasswordOptions& options) {
  char out[crypto_pwhash_STRBYTES];
  if (crypto_pwhash_str_alg(out, password.data(), password.size(), options.passes, options.memory,
                            crypto_pwhash_ALG_ARGON2ID13) != 0)
    return Error(ErrorCode::kUnavailable, "no memory for Argon2id");
  return std::string(out);
}

PasswordOptions checked(PasswordOptions options) {
  static const int kReady = sodium_init();
  static_cast<void>(kReady);
  options.parallel = std::max(1U, options.parallel);
  options.passes = std::max<unsigned>(crypto_pwhash_OPSLIMIT_MIN, options.passes);
  options.memory = std::max<std::size_t>(crypto_pwhash_MEMLIMIT_MIN, options.memory);
  return options;
}

}  // namespace

Passwords::Passwords(PasswordOptions options, runtime::Metrics& metrics)
    : options_(checked(options)),
      nobody_(argon2id(to_hex(random_bytes(16)), options_).value()),
      seconds_(metrics.histogram("merpati_auth_argon2_seconds", "Time of one Argon2id computation, waiting included.",
                                 runtime::Metrics::latency_bounds())),
      waiting_gauge_(metrics.gauge("merpati_auth_argon2_waiting", "Argon2id computations under way or waiting.")),
      pool_(options_.parallel) {}

Passwords::~Passwords() { pool_.join(); }

template <class Call>
auto Passwords::run(Call call) -> asio::awaitable<std::invoke_result_t<Call>> {
  struct Place {
    Passwords& owner;
    SteadyTime start = std::chrono::steady_clock::now();
    std::size_t number = ++owner.waiting_;
    ~Place() {
      owner.waiting_gauge_.set(static_cast<double>(--owner.waiting_));
      owner.seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
  };
  const Place place{*this};
  waiting_gauge_.set(static_cast<double>(place.number));
  if (place.number > options_.max_waiting + options_.parallel)
    co_return Error(ErrorCode::kUnavailable, "too many logins wait for Argon2id")
        .with_public("too many logins, try later");
  co_return co_await run_blocking(pool_, std::move(call));
}

Task<bool> Passwords::verify(std::string hash, std::string password) {
  const bool known = !hash.empty();
  auto call = [hash = known ? std::move(hash) : nobody_, password = std::move(password), known]() -> Result<bool> {
    const bool right = crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
    return right && known;
  };
  co_return co_await run(std::move(call));
}

Task<Credential> Passwords::make(std::string password, bool with_scram) {
  auto call = [password = std::move(password), with_scram, options = options_]() -> Result<Credential> {
    Credential out;
    MERPATI_TRY(out.hash, argon2id(password, options));
    if (with_scram && options.scram_iterations > 0)
      out.scram = make_scram_verifier(password, random_bytes(16), options.scram_iterations);
    return out;
  };
  co_return co_await run(std::move(call));
}

}  // namespace merpati::auth
