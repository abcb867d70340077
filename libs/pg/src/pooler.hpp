// Pooler: what stands between us and PostgreSQL must keep prepared statements and the connection's settings.
#pragma once

#include <chrono>
#include <string>

#include "connection.hpp"

namespace merpati::pg {

/// Looks whether a connection pooler answers instead of PostgreSQL, and refuses one that cannot carry us: one that
/// hands each transaction to any server connection without keeping prepared statements apart (PgBouncer before 1.21, or
/// with max_prepared_statements = 0), and one that drops the settings we connect with. One round trip where there is
/// none. kFailedPrecondition says what to change. Blocks, on a thread that may.
Result<void> check_pooler(PGconn* connection, const std::string& schema, const std::string& dsn,
                          const std::string& options, const std::string& application_name,
                          std::chrono::milliseconds timeout);

}  // namespace merpati::pg
