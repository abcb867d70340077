// What PostgreSQL answered to a call of libpq.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

namespace merpati::pg {

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, Clear>;

/// Empty when the result has none.
inline std::string sqlstate_of(const PGresult* result) {
  const char* text = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return text == nullptr ? "" : text;
}

}  // namespace merpati::pg
