// BayesModels: what was learnt as spam and as good mail, for all and by account, in PostgreSQL.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/bayes/classifier.hpp"
#include "merpati/bayes/tokens.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::filter {

/// The model of all; others are those of the account with that id.
inline constexpr std::int64_t kModelOfAll = 0;

struct BayesLimits {
  std::int64_t min_learnt = 200;        ///< messages of each kind before the model of all speaks
  std::int64_t own_min_learnt = 20;     ///< the same of an account's
  std::int64_t max_tokens = 2'000'000;  ///< that the model of all keeps
  std::int64_t own_max_tokens = 200'000;
  std::chrono::hours forget_after{24 * 180};  ///< what was not learnt again

  std::int64_t min_learnt_of(std::int64_t account) const {
    return account == kModelOfAll ? min_learnt : own_min_learnt;
  }
};

enum class Lesson { kSpam, kHam, kTakeBack };
/// What learning a message changed.
enum class Learnt { kNothing = 0, kNew = 1, kOther = 2, kTakenBack = 3 };

/// How much a model has learnt.
struct BayesModel {
  bayes::Counts messages;
  std::int64_t tokens = 0;
};

/// What a model knows of one message.
struct BayesKnowledge {
  std::int64_t account = kModelOfAll;
  bayes::Counts messages;
  std::vector<bayes::Counts> tokens;
};

/// Where the engine looks things up.
class BayesLookup {
 public:
  virtual ~BayesLookup() = default;
  /// False while no model has learnt enough to speak: nothing needs to be looked up. May lag behind other replicas.
  virtual bool speaks() const = 0;
  /// Of these models, those that learnt enough to speak.
  virtual Task<std::vector<BayesKnowledge>> find(const std::vector<std::int64_t>& tokens,
                                                 const std::vector<std::int64_t>& accounts, Deadline deadline) = 0;
};

/// Any thread. Every method is one statement.
class BayesModels : public BayesLookup {
 public:
  BayesModels(pg::Pool& pool, BayesLimits limits) : pool_(pool), limits_(limits) {}

  bool speaks() const override { return speaks_.load(std::memory_order_relaxed); }
  Task<std::vector<BayesKnowledge>> find(const std::vector<std::int64_t>& tokens,
                                         const std::vector<std::int64_t>& accounts, Deadline deadline) override;

  /// Idempotent: a message counts once for each model. kNotFound for an account that was purged.
  Task<Learnt> learn(std::int64_t account, Lesson lesson, bayes::MessageTokens message, Deadline deadline);
  Task<BayesModel> read(std::int64_t account, Deadline deadline);
  /// Looks whether any model speaks; when that cannot be found out, one may.
  Task<void> refresh(Deadline deadline);
  /// Forgets what is old, some at a time; 0 when nothing is left to look at today.
  Task<std::int64_t> tidy(Deadline deadline);
  /// The end of an account's model.
  Task<void> purge(std::int64_t account, Deadline deadline);

  const BayesLimits& limits() const { return limits_; }

 private:
  pg::Pool& pool_;
  const BayesLimits limits_;
  std::atomic<bool> speaks_ = true;
};

}  // namespace merpati::filter
