// Does PostgreSQL answer at all? Asked when nothing was heard for a while: a statement that is slow and a server that
// is stopped or cut off look the same to the one who waits.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "merpati/base/clock.hpp"
#include "merpati/base/result.hpp"

namespace merpati::pg {

/// Opens a connection up to the server's first octet, whatever it says. Blocks for `patience` at most (and for the name
/// lookup). kUnavailable: nobody said anything. A pooler answers for itself.
Result<void> probe_server(const std::string& dsn, std::chrono::milliseconds patience);

/// The probe of one server, for those who ask at the same time. Any thread that may block.
class Prober {
 public:
  Result<void> ask(const std::string& dsn);

 private:
  std::mutex mutex_;  // held while a probe is under way, which the others wait for
  SteadyTime answered_at_{};
  Result<void> answer_;
};

}  // namespace merpati::pg
