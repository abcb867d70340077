#include "auth/module.hpp"

#include <algorithm>
#include <thread>

#include "auth/migrations.hpp"
#include "auth/rpc/auth_service.hpp"
#include "auth/rpc/directory_service.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/config/v1/auth.pb.h"
#include "merpati/pg/pool_metrics.hpp"
#include "merpati/runtime/dependency.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::auth {
namespace {

using namespace std::chrono_literals;

constexpr auto kEventsStay = std::chrono::hours(24 * 30);
constexpr auto kPurgesStay = std::chrono::hours(24 * 400);  // longer than anybody leaves a store down

pg::PoolOptions pool_options(const config::v1::Database& config, std::size_t loops, runtime::Metrics& metrics) {
  pg::PoolOptions options;
  options.observer = pg::pool_observer(metrics, "auth");
  options.dsn = config.dsn();
  options.schema = "auth";
  options.application_name = "merpati-auth";
  // Nearly everything is a read; what is written is written by operators.
  options.read_connections = std::max(1, static_cast<int>(config.connections() / (2 * loops)));
  options.write_connections = 1;
  options.max_waiting = config.max_waiting();
  options.connect_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(config.connect_timeout()));
  options.statement_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(config.statement_timeout()));
  return options;
}

std::vector<asio::any_io_executor> executors(runtime::Loops& loops) {
  std::vector<asio::any_io_executor> out;
  for (std::size_t i = 0; i < loops.size(); ++i) out.push_back(loops.executor(i));
  return out;
}

const std::string& session_dsn(const config::v1::Database& config) {
  return config.session_dsn().empty() ? config.dsn() : config.session_dsn();
}

PasswordOptions password_options(const config::v1::Auth& config) {
  PasswordOptions options;
  options.parallel =
      config.argon2_parallel() != 0 ? config.argon2_parallel() : std::max(1U, std::thread::hardware_concurrency());
  options.memory = config.argon2_memory();
  options.passes = config.argon2_passes();
  options.max_waiting = config.max_waiting_logins();
  options.scram_iterations = static_cast<int>(config.scram_iterations());
  return options;
}

std::optional<mailauth::Srs> srs_from(const config::v1::Srs& config) {
  if (config.domain().empty()) return std::nullopt;
  std::vector<std::string> secrets{config.key()};
  if (!config.previous_key().empty()) secrets.push_back(config.previous_key());
  return mailauth::Srs(config.domain(), std::move(secrets));
}

std::chrono::seconds seconds_of(const google::protobuf::Duration& duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(runtime::to_chrono(duration));
}

}  // namespace

struct Module::Parts {
  Parts(runtime::Process& owner, const config::v1::Auth& wanted)
      : process(owner),
        config(wanted),
        pool(executors(owner.loops()), pool_options(wanted.database(), owner.loops().size(), owner.metrics())),
        pool_scrape(pg::export_pool(owner.metrics(), "auth", pool)),
        directory(pool),
        passwords(password_options(wanted), owner.metrics()),
        verified(runtime::to_chrono(wanted.verified_life())),
        slow_down(net::CidrSet::parse(wanted.trusted_addresses()).value()),
        keys(directory, from_base64(wanted.master_key()).value_or(""), seconds_of(wanted.token_life()) + 1h),
        logins(directory, passwords, verified, slow_down, keys,
               {seconds_of(wanted.token_life()), static_cast<int>(wanted.scram_iterations())}, owner.metrics()),
        recipients(directory, keys, owner.metrics(), srs_from(wanted.srs())),
        feed(owner.loops().main(), session_dsn(wanted.database())),
        auth_service(directory, logins, recipients, keys, feed),
        directory_service(directory, passwords, keys),
        tasks(owner.loops().main()) {}

  /// Follows the directory's own events: keys that another replica made, and what is due.
  asio::awaitable<void> follow() {
    EventFeed::Follower follower(feed);
    auto purge_at = std::chrono::steady_clock::now() + 1min;
    while (!feed.closed()) {
      const auto waited = co_await follower.wait(30s);
      if (waited.has_error() || feed.closed()) co_return;
      const auto loaded = co_await keys.load(Deadline::after(10s));
      if (loaded.has_error()) continue;
      co_await renew_key();
      if (std::chrono::steady_clock::now() < purge_at) continue;
      purge_at = std::chrono::steady_clock::now() + 1h;
      const auto purged = co_await directory.purge_deleted(Deadline::after(30s));
      if (purged && *purged > 0)
        log::info("auth_accounts_purged", "deleted accounts reached the end of their 30 days", {{"count", *purged}});
      const auto forgotten = co_await directory.forget_events(kEventsStay, kPurgesStay, Deadline::after(30s));
      if (forgotten.has_error()) log::info("auth_events_not_forgotten", forgotten.error().describe());
    }
  }

  asio::awaitable<void> renew_key() {
    const auto life = seconds_of(config.signing_key_life());
    if (life <= 0s) co_return;
    const auto rotated = co_await keys.rotate_aged(life, Deadline::after(10s));
    if (rotated.has_error())
      log::warning("auth_key_not_rotated", rotated.error().describe());
    else if (*rotated)
      log::info("auth_key_rotated", "new tokens are signed with a new key");
  }

  runtime::Process& process;
  const config::v1::Auth config;
  pg::Pool pool;
  std::shared_ptr<void> pool_scrape;
  Directory directory;
  Passwords passwords;
  VerifiedCache verified;
  SlowDown slow_down;
  Keys keys;
  Logins logins;
  Recipients recipients;
  EventFeed feed;
  AuthService auth_service;
  DirectoryService directory_service;
  TaskGroup tasks;
};

Module::Module(runtime::Process& process, const config::v1::Auth& config)
    : parts_(std::make_unique<Parts>(process, config)) {
  dispatcher_.register_service(parts_->auth_service);
  dispatcher_.register_service(parts_->directory_service);
}
Module::~Module() = default;

Task<void> Module::start() {
  const auto master = from_base64(parts_->config.master_key());
  if (!master || master->size() != 32)
    co_return Error(ErrorCode::kInvalidArgument,
                    "auth.master_key must be 32 octets in base64 (openssl rand -base64 32)");
  MERPATI_CO_CHECK(co_await parts_->pool.start(Deadline::after(10s)));
  auto wait = [dsn = session_dsn(parts_->config.database())] {
    return pg::wait_migrated(dsn, "auth", migrations(), 60s);
  };
  MERPATI_CO_CHECK(co_await run_blocking(parts_->process.blocking(), std::move(wait)));
  MERPATI_CO_CHECK(co_await parts_->keys.load(Deadline::after(10s)));
  parts_->tasks.spawn(runtime::watch_dependency(parts_->process.health(), "auth.postgresql",
                                                [&pool = parts_->pool](Deadline until) { return pool.start(until); }));
  parts_->feed.start();
  parts_->tasks.spawn(parts_->follow());
  co_return Result<void>();
}

Task<void> Module::drain(Deadline) {
  parts_->feed.drain();
  co_return Result<void>();
}

Task<void> Module::stop() {
  parts_->feed.close();
  parts_->tasks.cancel();
  auto joined = co_await parts_->tasks.join(Deadline::after(2s));
  parts_->pool.close();
  co_return joined;
}

}  // namespace merpati::auth
