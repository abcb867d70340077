#include "admin/module.hpp"

#include <algorithm>

#include "admin/migrations.hpp"
#include "merpati/pg/pool_metrics.hpp"
#include "merpati/runtime/dependency.hpp"
#include "merpati/runtime/duration.hpp"

namespace merpati::admin {
namespace {

std::unique_ptr<pg::Pool> make_pool(runtime::Process& process, const config::v1::Database& config) {
  pg::PoolOptions options;
  options.dsn = config.dsn();
  options.schema = "admin";
  options.application_name = "merpati-admin";
  options.read_connections = std::max(1, static_cast<int>(config.connections()) / 2);
  options.write_connections = options.read_connections;
  options.max_waiting = std::min<std::size_t>(100, std::max(1U, config.max_waiting()));
  options.connect_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(config.connect_timeout()));
  options.statement_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(config.statement_timeout()));
  options.observer = pg::pool_observer(process.metrics(), "admin");
  // Operators are few: one loop's connections serve all.
  return std::make_unique<pg::Pool>(std::vector<asio::any_io_executor>{process.loops().main()}, std::move(options));
}

}  // namespace

Module::Module(runtime::Process& process, config::v1::Admin config, Peers peers)
    : process_(process),
      config_(std::move(config)),
      pool_(make_pool(process, config_.database())),
      pool_scrape_(pg::export_pool(process_.metrics(), "admin", *pool_)),
      tokens_(*pool_),
      audit_(*pool_),
      tasks_(process.loops().main()),
      service_(tokens_, audit_, std::move(peers), process.metrics(), tasks_) {
  dispatcher_.register_service(service_);
}

Module::~Module() = default;

Task<void> Module::start() {
  MERPATI_CO_CHECK(co_await pool_->start(Deadline::after(std::chrono::seconds(10))));
  const auto& dsn =
      config_.database().session_dsn().empty() ? config_.database().dsn() : config_.database().session_dsn();
  auto wait = [](std::string where) {
    return pg::wait_migrated(where, "admin", migrations(), std::chrono::seconds(60));
  };
  MERPATI_CO_CHECK(co_await run_blocking(process_.blocking(), [wait, dsn] { return wait(dsn); }));
  if (!config_.bootstrap_token().empty()) {
    MERPATI_CO_CHECK(
        co_await tokens_.ensure_bootstrap(config_.bootstrap_token(), Deadline::after(std::chrono::seconds(10))));
  }
  tasks_.spawn(runtime::watch_dependency(process_.health(), "admin.postgresql",
                                         [&pool = *pool_](Deadline until) { return pool.start(until); }));
  co_return Result<void>();
}

Task<void> Module::drain(Deadline) { co_return Result<void>(); }

Task<void> Module::stop() {
  tasks_.cancel();
  pool_->close();
  co_return co_await tasks_.join(Deadline::after(std::chrono::seconds(2)));
}

}  // namespace merpati::admin
