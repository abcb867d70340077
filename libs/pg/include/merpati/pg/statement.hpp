// A statement of the program: prepared once on each connection, at its first use there.
#pragma once

#include <string>

namespace merpati::pg {

/// Make them static: a query keeps a reference until it ends. `name` is unique in the process; `sql` is one statement.
struct Statement {
  std::string name;
  std::string sql;
};

/// Reads are pipelined deeply on few connections; writes have connections of their own, because each waits for a
/// commit.
enum class Lane { kRead, kWrite };

}  // namespace merpati::pg
