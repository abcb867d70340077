#include "filter/memory.hpp"

namespace merpati::filter {

Task<std::vector<Claimed>> Memory::claim(std::string delivery_id, const std::vector<Claim>& claims, Deadline deadline) {
  static const pg::Statement kClaim{
      "filter_claim_memory",
      "select ordinal, seen, holder, held_seconds from claim_memory($1, $2, $3, $4, $5, $6) order by ordinal"};
  std::vector<std::int64_t> accounts, seconds;
  std::vector<std::int32_t> kinds;
  std::vector<std::string_view> keys;
  std::vector<bool> anyway;
  for (const auto& claim : claims) {
    accounts.push_back(claim.account_id);
    kinds.push_back(static_cast<std::int32_t>(claim.kind));
    keys.push_back(claim.key);
    seconds.push_back(claim.seconds);
    anyway.push_back(claim.anyway);
  }
  pg::Params params;
  params.uuid(delivery_id).bigints(accounts).integers(kinds).byteas(keys).bigints(seconds).booleans(anyway);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kClaim, std::move(params), deadline));
  std::vector<Claimed> out;
  for (const auto row : rows)
    out.push_back({row.boolean(1), row.is_null(2) ? std::string() : row.uuid(2), row.is_null(3) ? 0 : row.float8(3)});
  if (out.size() != claims.size()) co_return Error(ErrorCode::kInternal, "claim_memory gave too few rows");
  co_return out;
}

Task<void> Memory::settle(std::string delivery_id, std::optional<std::int64_t> account, bool taken, Deadline deadline) {
  static const pg::Statement kSettle{"filter_settle_memory", "select settle_memory($1, $2, $3)::text"};
  pg::Params params;
  params.uuid(delivery_id).bigint(account).boolean(taken);
  MERPATI_CO_CHECK(co_await pool_.write(kSettle, std::move(params), deadline));
  co_return Result<void>();
}

Task<std::int64_t> Memory::forget(Deadline deadline) {
  static const pg::Statement kForget{
      "filter_forget_memory",
      "delete from memory where ctid = any (array(select ctid from memory where forget_at < now() limit 1000))"};
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kForget, {}, deadline));
  co_return rows.affected();
}

}  // namespace merpati::filter
