#include "merpati/pg/migration.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "answer.hpp"
#include "connection.hpp"
#include "merpati/pg/sqlstate.hpp"

namespace merpati::pg {
namespace {

Result<Answer> run(PGconn* connection, const std::string& sql) {
  Answer answer(PQexec(connection, sql.c_str()));
  const auto status = PQresultStatus(answer.get());
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) return answer;
  return error_from_sqlstate(sqlstate_of(answer.get()), PQresultErrorMessage(answer.get()));
}

Result<Handle> open(const std::string& dsn) {
  return open_connection(dsn, "", "merpati migrate", std::chrono::seconds(5));
}

std::string quoted(PGconn* connection, std::string_view text, bool identifier) {
  char* raw = identifier ? PQescapeIdentifier(connection, text.data(), text.size())
                         : PQescapeLiteral(connection, text.data(), text.size());
  std::string out = raw ? raw : "";
  PQfreemem(raw);
  return out;
}

struct State {
  int version = 0;
  int min_compatible = 0;
  std::string release;  ///< that made it so; empty: before releases were kept
};

Result<std::optional<State>> read_state(PGconn* connection, const std::string& schema) {
  const auto table = quoted(connection, schema, true) + ".schema_version";
  MERPATI_TRY(auto there, run(connection, "select to_regclass(" + quoted(connection, table, false) + ")"));
  if (PQgetisnull(there.get(), 0, 0)) return std::optional<State>();
  // to_jsonb, because the column is younger than the table.
  MERPATI_TRY(auto rows, run(connection,
                             fmt::format("select coalesce(max(number), 0), coalesce(max(min_compatible), 0), coalesce("
                                         "(select to_jsonb(v)->>'release' from {0} v order by number desc limit 1), '')"
                                         " from {0}",
                                         table)));
  return std::optional(State{std::atoi(PQgetvalue(rows.get(), 0, 0)), std::atoi(PQgetvalue(rows.get(), 0, 1)),
                             PQgetvalue(rows.get(), 0, 2)});
}

int declared_min_compatible(std::string_view sql) {
  constexpr std::string_view kMark = "-- min_compatible:";
  const auto at = sql.find(kMark);
  return at == std::string_view::npos ? 0 : std::atoi(std::string(sql.substr(at + kMark.size(), 12)).c_str());
}

Result<void> check_not_too_new(const std::string& schema, const State& state, int known) {
  if (state.version <= known || state.min_compatible <= known) return {};
  const std::string by = state.release.empty() ? "" : fmt::format(", made by release {},", state.release);
  const std::string release =
      state.release.empty() ? "a newer release" : fmt::format("release {} or newer", state.release);
  return Error(
      ErrorCode::kFailedPrecondition,
      fmt::format("schema {} is at version {}{} which needs a program that knows at least version {}; this one "
                  "knows {}: run {}",
                  schema, state.version, by, state.min_compatible, known, release));
}

Result<void> apply(PGconn* connection, const std::string& schema, const Migration& migration,
                   std::string_view release) {
  const auto name = quoted(connection, schema, true);
  MERPATI_CHECK(run(connection, "begin"));
  auto step = [&]() -> Result<void> {
    MERPATI_CHECK(run(connection, "set local search_path to " + name + ", public"));
    MERPATI_CHECK(run(connection, migration.sql));
    MERPATI_CHECK(
        run(connection,
            fmt::format("insert into {}.schema_version (number, name, min_compatible, release) values ({}, {}, {}, {})",
                        name, migration.number, quoted(connection, migration.name, false),
                        declared_min_compatible(migration.sql), quoted(connection, release, false))));
    MERPATI_CHECK(run(connection, "commit"));
    return {};
  };
  auto done = step();
  if (done.has_error()) {
    static_cast<void>(run(connection, "rollback"));
    return std::move(done).error().in(fmt::format("migration {} {:04}_{}", schema, migration.number, migration.name));
  }
  return {};
}

}  // namespace

Result<MigrationReport> migrate(const std::string& dsn, const std::string& schema, std::span<const Migration> table,
                                std::string_view release) {
  MERPATI_TRY(auto connection, open(dsn));
  auto* c = connection.get();
  const auto name = quoted(c, schema, true);
  // Released when the connection ends, however it ends.
  MERPATI_CHECK(
      run(c, "select pg_advisory_lock(hashtextextended(" + quoted(c, "merpati migrate " + schema, false) + ", 0))"));
  MERPATI_TRY(auto state, read_state(c, schema));
  if (!state) {
    MERPATI_CHECK(run(c, "create schema if not exists " + name));
    MERPATI_CHECK(
        run(c, "create table " + name +
                   ".schema_version (number int primary key, name text not null, applied_at timestamptz not null "
                   "default now(), min_compatible int not null default 0, release text not null default '')"));
    state = State{};
  }
  const int known = table.empty() ? 0 : table.back().number;
  MERPATI_CHECK(check_not_too_new(schema, *state, known));
  MigrationReport report{state->version, state->version};
  if (state->version >= known) return report;
  MERPATI_CHECK(
      run(c, "alter table " + name + ".schema_version add column if not exists release text not null default ''"));
  for (const auto& migration : table) {
    if (migration.number <= state->version) continue;
    MERPATI_CHECK(apply(c, schema, migration, release));
    report.now = migration.number;
  }
  return report;
}

Result<void> wait_migrated(const std::string& dsn, const std::string& schema, std::span<const Migration> table,
                           std::chrono::milliseconds wait) {
  const auto until = Deadline::after(wait);
  const int known = table.empty() ? 0 : table.back().number;
  for (;;) {
    std::string why;
    if (auto connection = open(dsn); connection.has_value()) {
      auto state = read_state(connection->get(), schema);
      if (state.has_error())
        why = state.error().message();
      else if (!*state)
        why = "schema " + schema + " does not exist yet";
      else if ((*state)->version >= known)
        return check_not_too_new(schema, **state, known);
      else
        why = fmt::format("schema {} is at version {}, {} is needed", schema, (*state)->version, known);
    } else {
      why = connection.error().message();
    }
    if (until.passed()) return Error(ErrorCode::kUnavailable, why);
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(std::chrono::milliseconds(500), until.left()));
  }
}

}  // namespace merpati::pg
