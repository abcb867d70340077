// Greylist: which senders came again, over all replicas.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::filter {

struct GreylistTimes {
  std::chrono::milliseconds delay{300'000};
  std::chrono::milliseconds retry_window{172'800'000};
  std::chrono::milliseconds keep{3'024'000'000};
};

/// An attempt to bring a message.
struct Attempt {
  std::string delivery_id;            ///< the same attempt, asked about again, does not count as a second one
  std::string client;                 ///< network, or the domain that answers for it
  std::string domain;                 ///< of the sender
  std::vector<std::string> triplets;  ///< for each recipient octets that stand for client, sender and recipient
};

struct Greylisted {
  enum class State : std::uint8_t {
    kFirst,   ///< nobody came before
    kEarly,   ///< came again, but too early
    kPassed,  ///< came again: client and domain are known now
    kKnown,   ///< client and domain are known
  } state = State::kFirst;
  double seconds = 0;  ///< until it may come again; of kPassed: since its first attempt
};

class Greylist {
 public:
  virtual ~Greylist() = default;
  /// Remembers the attempt, and says what is known of it.
  virtual Task<Greylisted> ask(const Attempt& attempt, const GreylistTimes& times, Deadline deadline) = 0;
};

/// In PostgreSQL, by its clock. Any thread. Every method is one statement.
class StoredGreylist : public Greylist {
 public:
  explicit StoredGreylist(pg::Pool& pool) : pool_(pool) {}

  Task<Greylisted> ask(const Attempt& attempt, const GreylistTimes& times, Deadline deadline) override;
  /// Removes what counts no more, some at a time; how many.
  Task<std::int64_t> forget(Deadline deadline);

 private:
  pg::Pool& pool_;
};

}  // namespace merpati::filter
