#include "admin/audit.hpp"

#include <limits>

namespace merpati::admin {
namespace {

const pg::Statement kBegin{
    "admin_audit_begin",
    "insert into audit (token_name, peer, method, target) values ($1, $2, $3, $4) returning audit_id"};
const pg::Statement kFinish{"admin_audit_finish", "update audit set outcome = $2 where audit_id = $1"};
const pg::Statement kList{
    "admin_audit_list",
    "select audit_id, (extract(epoch from at) * 1000)::bigint, token_name, peer, method, target, outcome "
    "from audit where audit_id < $1 order by audit_id desc limit $2"};

}  // namespace

Task<std::int64_t> Audit::begin(AuditRow row, Deadline deadline) {
  pg::Params params;
  params.text(row.token_name).text(row.peer).text(row.method).text(row.target);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kBegin, std::move(params), deadline));
  co_return rows.front().bigint(0);
}

Task<void> Audit::finish(std::int64_t id, std::string_view outcome, Deadline deadline) {
  pg::Params params;
  params.bigint(id).text(outcome);
  MERPATI_CO_CHECK(co_await pool_.write(kFinish, std::move(params), deadline));
  co_return Result<void>();
}

Task<std::vector<AuditRow>> Audit::list(std::int64_t before, int limit, Deadline deadline) {
  pg::Params params;
  params.bigint(before > 0 ? before : std::numeric_limits<std::int64_t>::max()).integer(limit);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kList, std::move(params), deadline));
  std::vector<AuditRow> out;
  for (const auto& row : rows) {
    out.push_back({row.bigint(0), row.bigint(1), std::string(row.text(2)), std::string(row.text(3)),
                   std::string(row.text(4)), std::string(row.text(5)), std::string(row.text(6))});
  }
  co_return out;
}

}  // namespace merpati::admin
