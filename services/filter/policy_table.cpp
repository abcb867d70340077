#include "filter/policy_table.hpp"

#include <fmt/format.h>

namespace merpati::filter {
namespace {
constexpr std::int32_t kMostKeys = 100;  // of one domain or account
}

Task<StoredPolicies> PolicyTable::find(std::vector<std::int64_t> accounts, std::vector<std::string> domains,
                                       Deadline deadline) {
  static const pg::Statement kFind{
      "filter_find_policies",
      "select account_id, domain, key, value from policies where account_id = any ($1::bigint[]) and domain = ''"
      " union all "
      "select account_id, domain, key, value from policies where account_id = 0 and domain = any ($2::text[])"};
  pg::Params params;
  params.bigints(accounts).texts(domains);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kFind, std::move(params), deadline));
  StoredPolicies out;
  for (const auto row : rows) {
    Policy& policy = row.bigint(0) != 0 ? out.accounts[row.bigint(0)] : out.domains[std::string(row.text(1))];
    policy[std::string(row.text(2))] = row.is_null(3) ? std::nullopt : std::optional(row.float8(3));
  }
  co_return out;
}

Task<std::vector<std::pair<PolicyTable::Place, Policy>>> PolicyTable::list(Place after, int most, Deadline deadline) {
  static const pg::Statement kList{
      "filter_list_policies",
      "select p.account_id, p.domain, p.key, p.value from (select distinct account_id, domain from policies"
      " where (account_id, domain) > ($1, $2) order by account_id, domain limit $3) owner"
      " join policies p on p.account_id = owner.account_id and p.domain = owner.domain"
      " order by p.account_id, p.domain, p.key"};
  pg::Params params;
  params.bigint(after.account).text(after.domain).integer(most);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kList, std::move(params), deadline));
  std::vector<std::pair<Place, Policy>> out;
  for (const auto row : rows) {
    Place place{row.bigint(0), std::string(row.text(1))};
    if (out.empty() || out.back().first != place) out.emplace_back(std::move(place), Policy());
    out.back().second[std::string(row.text(2))] = row.is_null(3) ? std::nullopt : std::optional(row.float8(3));
  }
  co_return out;
}

Task<PolicyVersion> PolicyTable::version(Deadline deadline) {
  static const pg::Statement kVersion{
      "filter_policies_version", "select version, exists (select from policies) from policies_version where the_only"};
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kVersion, {}, deadline));
  co_return PolicyVersion{rows.front().bigint(0), rows.front().boolean(1)};
}

Task<void> PolicyTable::change(Change change, Deadline deadline) {
  static const pg::Statement kChange{"filter_change_policy", "select change_policy($1, $2, $3, $4, $5, $6, $7)::text"};
  std::vector<std::string> keys;
  std::vector<std::optional<std::string>> values;  // the shortest text that reads as the same number
  for (const auto& [key, value] : change.set) {
    keys.push_back(key);
    values.push_back(value ? std::optional(fmt::format("{}", *value)) : std::nullopt);
  }
  pg::Params params;
  params.bigint(change.account).text(change.domain).boolean(change.unset_all).texts(change.unset);
  params.texts(keys).texts(values).integer(kMostKeys);
  MERPATI_CO_CHECK(co_await pool_.write(kChange, std::move(params), deadline));
  co_return Result<void>();
}

Task<void> PolicyTable::purge(std::int64_t account, Deadline deadline) {
  static const pg::Statement kPurge{"filter_purge_policy", "select purge_policy($1)::text"};
  pg::Params params;
  params.bigint(account);
  MERPATI_CO_CHECK(co_await pool_.write(kPurge, std::move(params), deadline));
  co_return Result<void>();
}

}  // namespace merpati::filter
