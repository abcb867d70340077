#include "allinone/migrate.hpp"

#include <fmt/format.h>

#include <thread>
#include <vector>

#include "admin/migrations.hpp"
#include "allinone/version.hpp"
#include "auth/migrations.hpp"
#include "filter/migrations.hpp"
#include "merpati/base/clock.hpp"
#include "merpati/pg/migration.hpp"
#include "merpati/runtime/log.hpp"
#include "queue/migrations.hpp"
#include "store/migrations.hpp"

namespace merpati::allinone {
namespace {

struct Schema {
  std::string name;
  std::string dsn;
  std::span<const pg::Migration> table;
};

std::vector<Schema> schemas(const config::v1::Config& config) {
  std::vector<Schema> out;
  const auto add = [&](const char* name, const config::v1::Database& database, std::span<const pg::Migration> table) {
    const auto& dsn = database.session_dsn().empty() ? database.dsn() : database.session_dsn();
    if (!dsn.empty()) out.push_back({name, dsn, table});
  };
  add("auth", config.auth().database(), auth::migrations());
  add("store", config.store().database(), store::migrations());
  add("filter", config.filter().database(), filter::migrations());
  add("queue", config.queue().database(), queue::migrations());
  add("admin", config.admin().database(), admin::migrations());
  return out;
}

/// The database may come with the same release, and be later than this.
Result<pg::MigrationReport> migrate_patiently(const Schema& schema, Deadline until) {
  for (bool said = false;; said = true) {
    auto report = pg::migrate(schema.dsn, schema.name, schema.table, kVersion);
    if (report.has_value() || report.error().code() != ErrorCode::kUnavailable || until.passed()) return report;
    if (!said)
      log::info("migration_waits", "waiting for the database",
                {{"schema", schema.name}, {"reason", report.error().message()}});
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(std::chrono::seconds(1), until.left()));
  }
}

}  // namespace

Result<void> migrate_all(const config::v1::Config& config, std::chrono::milliseconds patience) {
  const auto until = Deadline::after(patience);
  for (const auto& schema : schemas(config)) {
    auto report = migrate_patiently(schema, until);
    if (report.has_error()) return std::move(report).error().in("schema " + schema.name);
    if (report->before == report->now) continue;
    log::info("schema_migrated", "schema migrated",
              {{"schema", schema.name}, {"from", report->before}, {"to", report->now}});
  }
  return {};
}

Result<void> wait_all(const config::v1::Config& config, std::chrono::milliseconds wait) {
  for (const auto& schema : schemas(config)) {
    auto done = pg::wait_migrated(schema.dsn, schema.name, schema.table, wait);
    if (done.has_error()) return std::move(done).error().in("schema " + schema.name);
  }
  return {};
}

}  // namespace merpati::allinone
