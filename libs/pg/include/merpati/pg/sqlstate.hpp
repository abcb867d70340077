// The one table from SQLSTATE to Error, and which failures the pool repeats by itself.
#pragma once

#include <string_view>

#include "merpati/base/error.hpp"

namespace merpati::pg {

/// `sqlstate` is five characters, or empty when the connection was lost. Class MP is ours: "MP0nn" is ErrorCode nn, and
/// its message is what the SQL function raised.
Error error_from_sqlstate(std::string_view sqlstate, std::string_view message);

/// Serialization failure or deadlock: the statement did nothing, and a repetition may succeed.
bool is_conflict(std::string_view sqlstate);
/// The connection is of no more use (server shutting down, now a read-only standby).
bool ends_connection(std::string_view sqlstate);

/// What failed so may go well later, however it was asked: PostgreSQL is away, busy, or was in conflict.
bool may_pass(ErrorCode code);

}  // namespace merpati::pg
