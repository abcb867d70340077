#include "pooler.hpp"

#include "answer.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/pg/sqlstate.hpp"

namespace merpati::pg {
namespace {

Result<void> prepare(PGconn* connection, const std::string& name) {
  const Answer answer(PQprepare(connection, name.c_str(), "select 1", 0, nullptr));
  if (PQresultStatus(answer.get()) == PGRES_COMMAND_OK) return {};
  if (sqlstate_of(answer.get()) == "42P05")  // the other connection's statement is there
    return Error(ErrorCode::kFailedPrecondition,
                 "the connection pooler before PostgreSQL mixes the prepared statements of its clients: use PgBouncer "
                 "1.21 or newer with max_prepared_statements above 0, or pool_mode = session");
  return error_from_sqlstate(sqlstate_of(answer.get()), PQerrorMessage(connection));
}

}  // namespace

Result<void> check_pooler(PGconn* connection, const std::string& schema, const std::string& dsn,
                          const std::string& options, const std::string& application_name,
                          std::chrono::milliseconds timeout) {
  const Answer answer(PQexec(connection, "select pg_backend_pid(), current_setting('search_path')"));
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK)
    return error_from_sqlstate(sqlstate_of(answer.get()), PQerrorMessage(connection)).in("cannot connect");
  // A pooler makes up the process id that it tells its clients.
  if (PQgetvalue(answer.get(), 0, 0) == std::to_string(PQbackendPID(connection))) return {};
  const std::string path = PQgetvalue(answer.get(), 0, 1);
  if (!schema.empty() && path != schema && !path.starts_with(schema + ","))
    return Error(
        ErrorCode::kFailedPrecondition,
        "the connection pooler before PostgreSQL drops the settings that a connection begins with: let it pass "
        "`options`, or set them for the role (alter role ... set search_path = " +
            schema + ", public)");
  MERPATI_TRY(const auto other, open_connection(dsn, options, application_name, timeout));
  const auto name = "merpati_pooler_" + to_hex(random_bytes(8));
  MERPATI_CHECK(prepare(connection, name));
  return prepare(other.get(), name);
}

}  // namespace merpati::pg
