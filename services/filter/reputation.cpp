#include "filter/reputation.hpp"

#include <array>

namespace merpati::filter {
namespace {

constexpr std::array<std::int32_t, 3> kKinds = {1, 2, 3};  // sender, domain, network

double seconds(std::chrono::seconds duration) { return static_cast<double>(duration.count()); }

/// 0: it counts for nobody.
std::int32_t number_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccept:
      return 1;
    case Outcome::kJunk:
      return 2;
    case Outcome::kRefuse:
    case Outcome::kDiscard:
      return 3;
    case Outcome::kTemporary:
      break;
  }
  return 0;
}

}  // namespace

Task<Reputations> StoredReputation::look_up(const SenderNames& names, std::chrono::seconds half_life,
                                            Deadline deadline) {
  static const pg::Statement kLookUp{
      "filter_look_up_reputations",
      "select r.kind, r.good * f.left_, r.junk * f.left_, r.refused * f.left_"
      " from unnest($1, $2) as wanted (kind, name) join reputations r on r.kind = wanted.kind and r.name = wanted.name"
      " cross join lateral (select reputation_left(r.counted_at, $3) as left_) f"};
  pg::Params params;
  params.integers(kKinds).byteas(std::array<std::string_view, 3>{names.sender, names.domain, names.network});
  params.float8(seconds(half_life));
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kLookUp, std::move(params), deadline));
  Reputations out;
  for (const auto row : rows) {
    Reputation& into = row.integer(0) == 1 ? out.sender : row.integer(0) == 2 ? out.domain : out.network;
    into = {row.float8(1), row.float8(2), row.float8(3)};
  }
  co_return out;
}

Task<void> StoredReputation::count(const std::vector<JudgedMessage>& messages, std::chrono::seconds half_life,
                                   Deadline deadline) {
  static const pg::Statement kCount{"filter_count_judged", "select count_judged($1, $2, $3, $4, $5, $6)"};
  std::vector<std::string_view> deliveries, senders, domains, networks;
  std::vector<std::int32_t> outcomes;
  for (const auto& message : messages) {
    const auto outcome = number_of(message.outcome);
    if (outcome == 0) continue;
    deliveries.push_back(message.delivery_id);
    outcomes.push_back(outcome);
    senders.push_back(message.names.sender);
    domains.push_back(message.names.domain);
    networks.push_back(message.names.network);
  }
  if (deliveries.empty()) co_return Result<void>();
  pg::Params params;
  params.uuids(deliveries).integers(outcomes).byteas(senders).byteas(domains).byteas(networks);
  params.float8(seconds(half_life));
  MERPATI_CO_CHECK(co_await pool_.write(kCount, std::move(params), deadline));
  co_return Result<void>();
}

Task<std::int64_t> StoredReputation::forget(Deadline deadline) {
  static const pg::Statement kForget{"filter_forget_reputations", "select forget_reputations(1000)"};
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kForget, {}, deadline));
  co_return rows.front().bigint(0);
}

}  // namespace merpati::filter
