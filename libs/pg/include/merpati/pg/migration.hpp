// Migrations: numbered SQL scripts of one schema, applied once each under an advisory lock. Blocking; run at the start
// or on the pool for blocking work.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::pg {

/// `sql` runs in one transaction with search_path at its schema. Migrations only add, unless a line of the script says
/// "-- min_compatible: N": programs that know less than migration N cannot use the schema afterwards.
struct Migration {
  int number;
  const char* name;
  const char* sql;
};

struct MigrationReport {
  int before = 0;  ///< highest number found
  int now = 0;     ///< highest number after
};

/// Brings `schema` up to date; several processes may do it at once. A newer schema than the table knows is an error
/// (kFailedPrecondition, naming the version and the release that made it) unless its min_compatible allows the table's
/// highest number. `release` is this program's, kept beside each migration that it applies.
Result<MigrationReport> migrate(const std::string& dsn, const std::string& schema, std::span<const Migration> table,
                                std::string_view release = {});

/// Waits until `schema` is usable with the table: at least as new, and not too new.
Result<void> wait_migrated(const std::string& dsn, const std::string& schema, std::span<const Migration> table,
                           std::chrono::milliseconds wait);

}  // namespace merpati::pg
