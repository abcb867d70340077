#include "filter/bayes_models.hpp"

namespace merpati::filter {
namespace {
constexpr std::int64_t kMostLearnt = 100'000;  // messages that a model remembers to have learnt
}

Task<std::vector<BayesKnowledge>> BayesModels::find(const std::vector<std::int64_t>& tokens,
                                                    const std::vector<std::int64_t>& accounts, Deadline deadline) {
  static const pg::Statement kFind{
      "filter_bayes_find",
      "select m.account_id, m.spam, m.ham, t.spams, t.hams from bayes_models m cross join lateral ("
      "select coalesce(array_agg(t.spam), '{}') spams, coalesce(array_agg(t.ham), '{}') hams from bayes_tokens t "
      "where t.account_id = m.account_id and t.token = any ($1::bigint[])) t "
      "where m.account_id = any ($2::bigint[]) and least(m.spam, m.ham) >= case m.account_id when 0 then $3 else $4 "
      "end"};
  pg::Params params;
  params.bigints(tokens).bigints(accounts).bigint(limits_.min_learnt).bigint(limits_.own_min_learnt);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kFind, std::move(params), deadline));
  std::vector<BayesKnowledge> out;
  for (const auto row : rows) {
    auto& known = out.emplace_back();
    known.account = row.bigint(0);
    known.messages = {row.bigint(1), row.bigint(2)};
    const auto spams = row.bigints(3), hams = row.bigints(4);
    for (std::size_t i = 0; i < spams.size(); ++i) known.tokens.push_back({spams[i], hams[i]});
  }
  co_return out;
}

Task<Learnt> BayesModels::learn(std::int64_t account, Lesson lesson, bayes::MessageTokens message, Deadline deadline) {
  static const pg::Statement kLearn{"filter_bayes_learn", "select learn_bayes($1, $2, $3, $4, $5, $6)"};
  std::optional<bool> spam;
  if (lesson != Lesson::kTakeBack) spam = lesson == Lesson::kSpam;
  pg::Params params;
  params.bigint(account).bytea(message.digest).integer(bayes::kTokenizer).boolean(spam).bigints(message.tokens);
  params.bigint(account == kModelOfAll ? limits_.max_tokens : limits_.own_max_tokens);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kLearn, std::move(params), deadline));
  // Whether it is enough, the lookup itself finds out.
  speaks_.store(true, std::memory_order_relaxed);
  co_return static_cast<Learnt>(rows.front().integer(0));
}

Task<BayesModel> BayesModels::read(std::int64_t account, Deadline deadline) {
  static const pg::Statement kRead{"filter_bayes_read",
                                   "select spam, ham, tokens from bayes_models where account_id = $1"};
  pg::Params params;
  params.bigint(account);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kRead, std::move(params), deadline));
  BayesModel model;
  for (const auto row : rows) model = {{row.bigint(0), row.bigint(1)}, row.bigint(2)};
  co_return model;
}

Task<void> BayesModels::refresh(Deadline deadline) {
  static const pg::Statement kSpeaks{
      "filter_bayes_speaks",
      "select exists (select from bayes_models where least(spam, ham) >= case account_id when 0 then $1 else $2 end)"};
  pg::Params params;
  params.bigint(limits_.min_learnt).bigint(limits_.own_min_learnt);
  const auto rows = co_await pool_.query(kSpeaks, std::move(params), deadline);
  speaks_.store(rows.has_error() || rows->front().boolean(0), std::memory_order_relaxed);
  if (rows.has_error()) co_return rows.error();
  co_return Result<void>();
}

Task<std::int64_t> BayesModels::tidy(Deadline deadline) {
  static const pg::Statement kTidy{"filter_bayes_tidy", "select tidy_bayes($1, $2, $3, $4)"};
  pg::Params params;
  params.integer(static_cast<std::int32_t>(limits_.forget_after.count() / 24)).bigint(limits_.own_max_tokens);
  params.bigint(limits_.max_tokens).bigint(kMostLearnt);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kTidy, std::move(params), deadline));
  co_return rows.front().bigint(0);
}

Task<void> BayesModels::purge(std::int64_t account, Deadline deadline) {
  static const pg::Statement kPurge{"filter_bayes_purge", "select purge_bayes($1)::text"};
  pg::Params params;
  params.bigint(account);
  MERPATI_CO_CHECK(co_await pool_.write(kPurge, std::move(params), deadline));
  co_return Result<void>();
}

}  // namespace merpati::filter
