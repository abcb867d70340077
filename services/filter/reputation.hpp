// Reputation: what became of earlier mail of a sender, over all replicas.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "filter/scoring.hpp"
#include "merpati/base/task.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::filter {

/// Whom a message's outcome is counted for; an empty name is nobody.
struct SenderNames {
  std::string sender;   ///< address, with the network where nothing shows that it is not forged
  std::string domain;   ///< that authenticates the message
  std::string network;  ///< of the client
};

/// Messages, each with what is left of its weight.
struct Reputation {
  double good = 0, junk = 0, refused = 0;
  double total() const { return good + junk + refused; }
};

struct Reputations {
  Reputation sender, domain, network;
};

struct JudgedMessage {
  std::string delivery_id;  ///< UUID; counts once
  Outcome outcome = Outcome::kAccept;
  SenderNames names;
};

class ReputationMemory {
 public:
  virtual ~ReputationMemory() = default;
  virtual Task<Reputations> look_up(const SenderNames& names, std::chrono::seconds half_life, Deadline deadline) = 0;
  /// Counts what was not counted before. kTemporary has no outcome yet and is left out.
  virtual Task<void> count(const std::vector<JudgedMessage>& messages, std::chrono::seconds half_life,
                           Deadline deadline) = 0;
};

/// In PostgreSQL, by its clock. Any thread. Every method is one statement.
class StoredReputation : public ReputationMemory {
 public:
  explicit StoredReputation(pg::Pool& pool) : pool_(pool) {}

  Task<Reputations> look_up(const SenderNames& names, std::chrono::seconds half_life, Deadline deadline) override;
  Task<void> count(const std::vector<JudgedMessage>& messages, std::chrono::seconds half_life,
                   Deadline deadline) override;
  /// Removes what counts no more, some at a time; how many.
  Task<std::int64_t> forget(Deadline deadline);

 private:
  pg::Pool& pool_;
};

}  // namespace merpati::filter
